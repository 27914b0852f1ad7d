"""Bytes to bounded, finite, mono float32 at an encoder's rate; clip policies; log-mel features. Numpy only."""

from mellow.audio.decode import MAX_SECONDS, Source, from_array, load
from mellow.audio.front_end import CED, HTSAT, FrontEnd, log_mel, mel_filters
from mellow.audio.policy import POLICIES, Policy, fit, window_starts, windows

__all__ = [
    "CED",
    "HTSAT",
    "MAX_SECONDS",
    "POLICIES",
    "FrontEnd",
    "Policy",
    "Source",
    "fit",
    "from_array",
    "load",
    "log_mel",
    "mel_filters",
    "window_starts",
    "windows",
]
