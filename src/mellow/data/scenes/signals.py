"""Small measurements and filters on mono waveforms at 16 kHz: where a sound is active, how loud, how high; noises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SAMPLE_RATE",
    "active_span",
    "bursts",
    "centroid_hz",
    "coloured_noise",
    "fade",
    "hum",
    "level_db",
    "low_pass",
    "trim",
]

Waveform = NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz, what the CED encoder hears
FRAME = SAMPLE_RATE // 100  # samples in 10 ms
TRIM_DB = -50.0  # below the peak: digital silence, or as good as that
ACTIVE_DB = -40.0  # below the loudest frame: no longer sounding
CENTROID_WINDOW = 512  # samples, 32 ms
CENTROID_FRAMES = 64  # at most, evenly spread
NOISE_SLOPES = {"white noise": 0.0, "pink noise": 0.5, "brown noise": 1.0}  # amplitude falls as 1 / f ** slope


def gain_of(db: float) -> float:
    """Amplitude factor of a level difference in dB."""
    return float(10.0 ** (db / 20.0))


def frame_rms(waveform_S: NDArray[np.floating]) -> NDArray[np.float64]:
    """RMS of every 10 ms; the last frame may be shorter, and counts as if it were padded with zeros."""
    count = -(-len(waveform_S) // FRAME)
    padded = np.zeros(count * FRAME, np.float32)
    padded[: len(waveform_S)] = waveform_S
    frames = padded.reshape(count, FRAME)
    rms_F: NDArray[np.float64] = np.sqrt(np.einsum("fs,fs->f", frames, frames) / FRAME).astype(np.float64)
    return rms_F


def trim(waveform_S: NDArray[np.generic]) -> slice:
    """The part from the first to the last sample within 50 dB of the peak; an empty slice for silence."""
    size_S = np.abs(waveform_S.astype(np.float32))
    peak = float(size_S.max(initial=0.0))
    if peak <= 0.0:
        return slice(0, 0)
    (loud,) = np.nonzero(size_S >= peak * gain_of(TRIM_DB))
    return slice(int(loud[0]), int(loud[-1]) + 1)


def active_span(waveform_S: Waveform) -> slice:
    """The part from the first to the last 10 ms frame within 40 dB of the loudest one."""
    rms_F = frame_rms(waveform_S)
    (active,) = np.nonzero(rms_F >= max(rms_F.max(initial=0.0) * gain_of(ACTIVE_DB), 1e-9))
    if not len(active):
        return slice(0, 0)
    return slice(int(active[0]) * FRAME, min((int(active[-1]) + 1) * FRAME, len(waveform_S)))


def level_db(waveform_S: Waveform) -> float:
    """RMS in dBFS over the sounding frames (within 40 dB of the loudest); -120 for silence."""
    rms_F = frame_rms(waveform_S)
    loudest = rms_F.max(initial=0.0)
    if loudest < 1e-6:
        return -120.0
    sounding_F = rms_F[rms_F >= loudest * gain_of(ACTIVE_DB)]
    return float(10.0 * np.log10(np.mean(sounding_F**2)))


def centroid_hz(waveform_S: Waveform) -> float:
    """Median over sounding 32 ms windows of the spectral centroid (power weighted), in Hz; 0 for silence."""
    count = max(1, len(waveform_S) // CENTROID_WINDOW)
    padded = np.zeros(count * CENTROID_WINDOW, np.float32)
    padded[: min(len(waveform_S), len(padded))] = waveform_S[: len(padded)]
    windows = padded.reshape(count, CENTROID_WINDOW)[:: -(-count // CENTROID_FRAMES)]
    power_WF = np.abs(np.fft.rfft(windows * np.hanning(CENTROID_WINDOW).astype(np.float32), axis=1)) ** 2
    total_W = power_WF.sum(axis=1)
    sounding_W = total_W >= max(total_W.max(initial=0.0) * gain_of(2 * ACTIVE_DB), 1e-12)
    if not sounding_W.any():
        return 0.0
    frequency_F = np.fft.rfftfreq(CENTROID_WINDOW, 1.0 / SAMPLE_RATE)
    return float(np.median((power_WF[sounding_W] @ frequency_F) / total_W[sounding_W]))


def bursts(waveform_S: Waveform) -> int:
    """How many separate soundings a listener would count.

    A new one begins where the level has fallen 12 dB below the last peak and rises 12 dB again, to within 20 dB of the
    loudest moment (levels over 30 ms).
    """
    level_F = np.convolve(frame_rms(waveform_S), np.ones(3) / 3, mode="same")
    least = max(float(level_F.max(initial=0.0)) * gain_of(-20.0), 1e-9)
    step = gain_of(12.0)
    count, peak, valley = 0, 0.0, 0.0
    for level in level_F.tolist():
        valley = min(valley, level)
        if level >= least and level >= valley * step and (count == 0 or valley * step <= peak):
            count, peak, valley = count + 1, level, level
        elif level > peak:
            peak = valley = level
    return count


def fade(waveform_S: Waveform, *, start_s: float, end_s: float) -> Waveform:
    """A copy with a raised-cosine fade in and out of the given seconds."""
    faded_S = waveform_S.copy()
    for seconds, view_S in ((start_s, faded_S), (end_s, faded_S[::-1])):
        count = min(int(seconds * SAMPLE_RATE), len(faded_S) // 2)
        view_S[:count] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(count, dtype=np.float32) + 0.5) / max(count, 1))
    return faded_S


def low_pass(waveform_S: Waveform, cutoff_hz: float) -> Waveform:
    """Zero-phase low-pass with the magnitude of an 8th-order Butterworth filter; the length stays."""
    padded = _good_length(len(waveform_S) + SAMPLE_RATE // 20)
    frequency_F = np.fft.rfftfreq(padded, 1.0 / SAMPLE_RATE)
    gain_F = 1.0 / np.sqrt(1.0 + (frequency_F / cutoff_hz) ** 16)
    spectrum_F = np.fft.rfft(waveform_S, padded) * gain_F
    filtered_S: Waveform = np.fft.irfft(spectrum_F, padded)[: len(waveform_S)].astype(np.float32)
    return filtered_S


def coloured_noise(rng: np.random.Generator, samples: int, colour: str) -> Waveform:
    """Noise of RMS 1 whose name is a key of NOISE_SLOPES; pink and brown hold nothing below 20 Hz."""
    if NOISE_SLOPES[colour] == 0.0:
        return rng.standard_normal(samples, dtype=np.float32)
    length = _good_length(samples)
    frequency_F = np.fft.rfftfreq(length, 1.0 / SAMPLE_RATE)
    spectrum_F = np.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    spectrum_F *= np.where(frequency_F < 20.0, 0.0, np.maximum(frequency_F, 20.0) ** -NOISE_SLOPES[colour])
    noise_S = np.fft.irfft(spectrum_F, length)[:samples]
    return _unit(noise_S)


def hum(rng: np.random.Generator, samples: int) -> Waveform:
    """Mains hum of RMS 1: 50 or 60 Hz and weaker overtones."""
    mains_hz = float(rng.choice([50.0, 60.0]))
    time_S = np.arange(samples, dtype=np.float64) / SAMPLE_RATE
    hum_S = np.zeros(samples)
    for overtone in range(1, 9):
        strength = rng.uniform(0.3, 1.0) / overtone
        hum_S += strength * np.sin(2 * np.pi * mains_hz * overtone * time_S + rng.uniform(0, 2 * np.pi))
    return _unit(hum_S)


def _unit(waveform_S: NDArray[np.float64]) -> Waveform:
    """Scaled to an RMS of 1."""
    scaled_S: Waveform = (waveform_S / (np.sqrt(np.mean(waveform_S**2)) + 1e-12)).astype(np.float32)
    return scaled_S


def _good_length(samples: int) -> int:
    """The next multiple of 4096 samples: fast to transform."""
    return -(-samples // 4096) * 4096
