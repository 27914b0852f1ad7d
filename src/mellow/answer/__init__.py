"""Asking a model: `load`, `Mellow`, `EncodedAudio`, the decoding loop, choices, and long clips window by window."""
