"""Audio files and arrays to bounded mono float32 at an encoder's rate; clip policies; log-mel features."""

from mellow.audio.collect import MAX_SECONDS
from mellow.audio.decode import load
from mellow.audio.front_end import CED, HTSAT, FrontEnd, log_mel, mel_filters
from mellow.audio.policy import POLICIES, Policy, fit, window_starts, windows
from mellow.audio.samples import Source, clip_of, from_array

__all__ = [
    "CED",
    "HTSAT",
    "MAX_SECONDS",
    "POLICIES",
    "FrontEnd",
    "Policy",
    "Source",
    "clip_of",
    "fit",
    "from_array",
    "load",
    "log_mel",
    "mel_filters",
    "window_starts",
    "windows",
]
