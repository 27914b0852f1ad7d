"""Log-mel features, described by one frozen value per encoder.

Letters: S samples, F mel frames, M mel bins, K = fft // 2 + 1 frequencies.
Sources: the slaney and htk scales and the slaney norm are librosa's formulas; `HTSAT` follows the published Mellow v0
(HTS-AT's own settings), `CED` follows arXiv 2308.11957.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mellow.errors import AudioError

__all__ = ["CED", "HTSAT", "FrontEnd", "front_end_of", "log_mel", "mel_filters"]

FRAMES_PER_BLOCK = 128  # a block's spectrum (at most 0.5 MB) stays in the processor's cache: twice as fast
FRAMES_PER_PRODUCT = 4  # matrix products too small for BLAS to share among threads: waiting for a busy core costs 60 ms

# Slaney's auditory scale: linear below 1 kHz, logarithmic above.
SLANEY_HZ_PER_MEL = 200.0 / 3
SLANEY_BREAK_HZ = 1000.0
SLANEY_BREAK_MEL = SLANEY_BREAK_HZ / SLANEY_HZ_PER_MEL  # 15
SLANEY_LOG_STEP = np.log(6.4) / 27.0  # 27 mels from 1 kHz to 6.4 kHz


@dataclass(frozen=True)
class FrontEnd:
    """How an encoder wants its log-mel spectrogram.

    sample_rate: in Hz.
    window, hop, fft: in samples; a window shorter than the fft is centred in it.
    mel_bins, f_min, f_max: number of triangular filters and their outer edges in Hz.
    mel_scale: "htk" (2595 log10(1 + f / 700)) or "slaney" (linear, then logarithmic).
    mel_norm: None (peaks of 1) or "slaney" (equal areas).
    floor: the smallest power before the logarithm; 1e-10 is -100 dB.
    """

    sample_rate: int
    window: int
    hop: int
    fft: int
    mel_bins: int
    f_min: float
    f_max: float
    mel_scale: Literal["htk", "slaney"]
    mel_norm: Literal["slaney"] | None
    floor: float = 1e-10

    def frames(self, samples: int) -> int:
        """Number of mel frames F of a clip with that many samples."""
        return 1 + samples // self.hop


HTSAT = FrontEnd(
    sample_rate=32_000,
    window=1024,
    hop=320,  # 10 ms
    fft=1024,
    mel_bins=64,
    f_min=50.0,
    f_max=14_000.0,
    mel_scale="slaney",
    mel_norm="slaney",
)

CED = FrontEnd(
    sample_rate=16_000,
    window=512,
    hop=160,  # 10 ms
    fft=512,
    mel_bins=64,
    f_min=0.0,
    f_max=8_000.0,
    mel_scale="htk",
    mel_norm=None,
)

FRONT_ENDS = {"ced": CED, "htsat": HTSAT, "cnn14": HTSAT}  # PANNs' settings are those of HTS-AT


def front_end_of(encoder: str, *, mel_bins: int = 64) -> FrontEnd:
    """The front end that an encoder was trained with, by the encoder's kind (`ced`, `htsat`, `cnn14`).

    mel_bins: differs from 64 for the small encoders of tests only.
    """
    if encoder not in FRONT_ENDS:
        raise AudioError(f"There is no front end for the encoder {encoder!r}; use {', '.join(FRONT_ENDS)}.")
    return replace(FRONT_ENDS[encoder], mel_bins=mel_bins)


def log_mel(waveform_S: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Log-mel spectrogram in dB: 10 log10 of the mel power, floored.

    waveform_S: samples at `front_end.sample_rate`; a clip too short to be reflected is zero-padded first.
    Returns mel_FM, float32, with F = 1 + S // hop frames, frame f centred on sample f * hop.
    """
    pad = front_end.fft // 2
    frames = front_end.frames(len(waveform_S))
    waveform_S = np.asarray(waveform_S, dtype=np.float32)
    if len(waveform_S) <= pad:  # reflection needs one sample more than it mirrors
        waveform_S = np.pad(waveform_S, (0, pad + 1 - len(waveform_S)))
    whole = -(-frames // FRAMES_PER_PRODUCT) * FRAMES_PER_PRODUCT  # a few frames more than wanted, cut off at the end
    padded_S = np.pad(waveform_S, pad, mode="reflect")
    padded_S = np.pad(padded_S, (0, max(0, (whole - 1) * front_end.hop + front_end.fft - len(padded_S))))
    frames_FN = sliding_window_view(padded_S, front_end.fft)[:: front_end.hop][:whole]
    window_N = _window(front_end)
    filters_KM = mel_filters(front_end)

    mel_FM = np.empty((whole, front_end.mel_bins), dtype=np.float32)
    for start in range(0, whole, FRAMES_PER_BLOCK):
        block_FN = frames_FN[start : start + FRAMES_PER_BLOCK]
        spectrum_FK = np.fft.rfft(block_FN * window_N, axis=1)
        power_FK = (spectrum_FK.real**2 + spectrum_FK.imag**2).astype(np.float32, copy=False)
        mel_P4M = power_FK.reshape(-1, FRAMES_PER_PRODUCT, power_FK.shape[1]) @ filters_KM
        mel_FM[start : start + FRAMES_PER_BLOCK] = mel_P4M.reshape(-1, front_end.mel_bins)
    mel_FM = mel_FM[:frames]
    np.maximum(mel_FM, front_end.floor, out=mel_FM)
    np.log10(mel_FM, out=mel_FM)
    mel_FM *= 10
    return mel_FM


@lru_cache(maxsize=16)
def mel_filters(front_end: FrontEnd) -> np.ndarray:
    """Triangular mel filters: filters_KM, float32, K = fft // 2 + 1; cached, therefore read-only."""
    frequencies_K1 = np.linspace(0.0, front_end.sample_rate / 2, front_end.fft // 2 + 1)[:, None]
    ends = _hz_to_mel(np.array([front_end.f_min, front_end.f_max]), front_end.mel_scale)
    edges = _mel_to_hz(np.linspace(ends[0], ends[1], front_end.mel_bins + 2), front_end.mel_scale)
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]

    rising_KM = (frequencies_K1 - left_M) / (centre_M - left_M)
    falling_KM = (right_M - frequencies_K1) / (right_M - centre_M)
    filters_KM = np.maximum(0.0, np.minimum(rising_KM, falling_KM))
    if front_end.mel_norm == "slaney":
        filters_KM *= 2.0 / (right_M - left_M)
    result_KM: np.ndarray = filters_KM.astype(np.float32)
    result_KM.setflags(write=False)
    return result_KM


@lru_cache(maxsize=16)
def _window(front_end: FrontEnd) -> np.ndarray:
    """Periodic Hann window, centred in the fft: window_N, float32."""
    phase = 2 * np.pi * np.arange(front_end.window) / front_end.window
    left = (front_end.fft - front_end.window) // 2
    window_N = np.zeros(front_end.fft, dtype=np.float32)
    window_N[left : left + front_end.window] = 0.5 - 0.5 * np.cos(phase)
    window_N.setflags(write=False)
    return window_N


def _hz_to_mel(hz: np.ndarray, scale: Literal["htk", "slaney"]) -> np.ndarray:
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = np.log(np.maximum(hz, SLANEY_BREAK_HZ) / SLANEY_BREAK_HZ) / SLANEY_LOG_STEP
    return np.where(hz < SLANEY_BREAK_HZ, hz / SLANEY_HZ_PER_MEL, SLANEY_BREAK_MEL + above)


def _mel_to_hz(mel: np.ndarray, scale: Literal["htk", "slaney"]) -> np.ndarray:
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = SLANEY_BREAK_HZ * np.exp(SLANEY_LOG_STEP * (mel - SLANEY_BREAK_MEL))
    return np.where(mel < SLANEY_BREAK_MEL, mel * SLANEY_HZ_PER_MEL, above)
