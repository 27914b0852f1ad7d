"""Clip policies: how a clip of any length is brought to the length that an encoder needs.

Nothing here is random unless a seed is given.

| policy            | a longer clip                     | a shorter clip                | used for                   |
| ----------------- | --------------------------------- | ----------------------------- | -------------------------- |
| `windows()`       | all of it, in consecutive windows | one window, as short as it is | the default: the whole clip|
| `window_starts()` | all of it, in overlapping windows | one window, for `fit` to fill | v0: an answer per window   |
| `"start"`         | its first samples                 | zeros on the right            | previews                   |
| `"center"`        | its middle                        | zeros on the right            | one window of a long clip  |
| `"random"`        | a crop drawn from the seed        | zeros on the right            | training                   |
| `"pad"`           | its first samples                 | zeros on the right            | Mellow v0's training rule  |
| `"repeat"`        | its first samples                 | tiled until full              | Mellow v0's inference rule |

Mellow v0 itself cut long clips at an unseeded random place; here `pad` and `repeat` keep their start.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from mellow.audio.front_end import CED
from mellow.errors import AudioError

__all__ = ["POLICIES", "Policy", "fit", "window_starts", "windows"]

Policy = Literal["start", "center", "random", "pad", "repeat"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


def windows(waveform_S: np.ndarray, window_S: int, *, hop_S: int = CED.hop) -> list[np.ndarray]:
    """Cut a whole clip into consecutive windows; the last one may be shorter.

    waveform_S: samples of the clip.
    window_S: length of a window in samples (10 s is 160 000 at 16 kHz).
    hop_S: a last remainder of fewer samples than this makes no mel frame of its own and is dropped (never the only
        window); 1 keeps every sample.
    Returns views of the clip, in order. Raises AudioError when `window_S` is below 1.
    """
    _check_length(window_S)
    samples = len(waveform_S)
    remainder = samples % window_S
    if samples > window_S and remainder < hop_S:
        samples -= remainder
    return [waveform_S[start : min(start + window_S, samples)] for start in range(0, samples, window_S)]


def window_starts(samples: int, window_S: int, hop_S: int, *, rest_S: int = 1) -> list[int]:
    """Where overlapping windows that cover a whole clip begin, in samples; the last one ends where the clip ends.

    samples, window_S: length of the clip and of a window, in samples.
    hop_S: from one window to the next, at most a window; the last step is shorter, so that every window is full.
    rest_S: samples behind the last whole step that are worth a window; fewer are dropped.
    Returns one start for a clip that fits into one window. Raises AudioError for invalid lengths.
    """
    _check_length(window_S)
    if not 1 <= hop_S <= window_S:
        raise AudioError(
            f"Windows of {window_S} samples cannot follow each other every {hop_S} samples; use 1 to {window_S}."
        )
    last = max(0, samples - window_S)
    starts = list(range(0, last + 1, hop_S))
    return [*starts, last] if last - starts[-1] >= rest_S else starts


def fit(waveform_S: np.ndarray, length_S: int, policy: Policy, *, seed: int | None = None) -> np.ndarray:
    """Bring a clip to exactly `length_S` samples by one of the policies in the table above.

    waveform_S: samples of the clip, at least one.
    seed: needed by "random", which draws the crop from it; the other policies are fixed and do not look at it.
    Returns length_S samples of the clip's dtype: a view where the clip is long enough, else a new array.
    Raises AudioError for an unknown policy, a random crop without a seed, an empty clip or a length below 1.
    """
    _check_length(length_S)
    if policy not in POLICIES:
        raise AudioError(f"There is no clip policy {policy!r}; choose one of {', '.join(POLICIES)}.")
    if policy == "random" and seed is None:
        raise AudioError("The clip policy 'random' draws a crop and needs a seed; pass seed=, or choose 'center'.")
    if len(waveform_S) == 0:
        raise AudioError("An empty clip cannot be fitted to a length; give at least one sample.")

    surplus = len(waveform_S) - length_S
    if surplus < 0:
        return np.resize(waveform_S, length_S) if policy == "repeat" else np.pad(waveform_S, (0, -surplus))
    start = 0
    if policy == "center":
        start = surplus // 2
    elif policy == "random":
        start = int(np.random.default_rng(seed).integers(surplus + 1))
    return waveform_S[start : start + length_S]


def _check_length(length_S: int) -> None:
    if length_S < 1:
        raise AudioError(f"A window cannot have {length_S} samples; ask for at least one.")
