"""Models on disk, read without torch: full and adapter checkpoints, GGUF, model names, and the cache."""
