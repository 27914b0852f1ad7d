"""What a clip measures, and whether a stated number agrees with it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from mellow.audio import load
from mellow.data.filters.numbers import Quantity
from mellow.errors import AudioError

__all__ = ["Measured", "Verdict", "measure", "measured_clip", "verdict"]

log = logging.getLogger(__name__)

Verdict = Literal["agrees", "disagrees", "unmeasured"]
RATE = 32_000  # Hz; half of it is the highest frequency that can be judged
FRAME = 4096  # samples of a spectrum: 8 Hz apart
SHARE = 0.1  # of a clip's energy that a stated band has to hold
WIDTH = 2 ** (1 / 3)  # a single stated frequency stands for a third of an octave to both sides
LEVEL_ERROR = 3.0  # dB
SILENT = -90.0  # dBFS


@dataclass(frozen=True, eq=False)
class Measured:
    """A clip: its length in seconds, its level in dBFS, its peak frequency in Hz, and where its energy is.

    energy_K: share of the clip's energy in each bin of the mean spectrum, bins RATE / FRAME apart.
    """

    seconds: float
    level: float
    peak: float
    energy_K: np.ndarray

    def share(self, low: float, high: float) -> float:
        """Share of the energy between two frequencies in Hz."""
        frequencies_K = np.fft.rfftfreq(FRAME, 1 / RATE)
        return float(self.energy_K[(frequencies_K >= low) & (frequencies_K <= high)].sum())


def measure(waveform_S: np.ndarray) -> Measured:
    """Measure samples at 32 kHz."""
    padded_S = np.pad(waveform_S, (0, -len(waveform_S) % FRAME))
    power_K = np.zeros(FRAME // 2 + 1)
    for frame_N in padded_S.reshape(-1, FRAME):
        power_K += np.abs(np.fft.rfft(frame_N * np.hanning(FRAME))) ** 2
    power_K[:2] = 0  # a constant offset is no sound
    square = float(np.mean(np.square(waveform_S, dtype=np.float64))) if len(waveform_S) else 0.0
    total = power_K.sum()
    return Measured(
        seconds=len(waveform_S) / RATE,
        level=10 * float(np.log10(square)) if square > 0 else -np.inf,
        peak=float(np.argmax(power_K) * RATE / FRAME),
        energy_K=power_K / total if total > 0 else power_K,
    )


@lru_cache(maxsize=64)  # a clip's records stand together
def measured_clip(path: Path) -> Measured | None:
    """Measure a file; None where there is none or it cannot be read (which is logged)."""
    if not path.is_file():
        return None
    try:
        return measure(load(path, RATE).waveform_S)
    except AudioError as error:
        log.warning("%s", error)
        return None


def verdict(quantity: Quantity, clip: Measured | None) -> Verdict:
    """Whether a clip bears out a number.

    A frequency agrees where its band holds the peak or a tenth of the energy; a time where it is the clip's length,
    within a tenth; a level below 0 (dBFS) within 3 dB. Unmeasured are times shorter than the clip (they may be an
    event's), frequencies above 16 kHz, and levels of 0 dB and more: sound pressures, which no recording holds.
    """
    if clip is None:
        return "unmeasured"
    if quantity.unit == "Hz":
        return _frequency(quantity, clip)
    if quantity.unit == "s":
        if abs(quantity.high - clip.seconds) <= max(0.5, 0.1 * clip.seconds):
            return "agrees"
        return "disagrees" if quantity.low > clip.seconds + max(0.5, 0.1 * clip.seconds) else "unmeasured"
    if quantity.low >= 0:
        return "unmeasured"
    return "agrees" if quantity.low - LEVEL_ERROR <= clip.level <= quantity.high + LEVEL_ERROR else "disagrees"


def _frequency(quantity: Quantity, clip: Measured) -> Verdict:
    if clip.level < SILENT or quantity.low > RATE / 2:
        return "disagrees" if clip.level < SILENT else "unmeasured"
    single = quantity.low == quantity.high
    low, high = (quantity.low / WIDTH, quantity.high * WIDTH) if single else (quantity.low, quantity.high)
    return "agrees" if low <= clip.peak <= high or clip.share(low, high) >= SHARE else "disagrees"
