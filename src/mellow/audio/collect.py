"""Blocks of samples to one mono waveform at the wanted rate; every sample is checked and the level is measured."""

from __future__ import annotations

import logging

import numpy as np
import soxr

from mellow.errors import AudioError
from mellow.types import Clip

__all__ = ["BLOCK_VALUES", "MAX_CHANNELS", "MAX_SECONDS", "Collector"]

log = logging.getLogger(__name__)

MAX_SECONDS = 3600.0
MIN_RATE, MAX_RATE = 4_000, 384_000  # Hz
MAX_CHANNELS = 32
BLOCK_SECONDS = 1.0
BLOCK_VALUES = 1 << 20  # samples times channels of a block: 4 MB of float32, whatever rate and channels a header claims
LOUDEST = 2.0**31  # floats on an int32 scale still pass
CANCELLED = (
    0.1  # the mean of unrelated channels has 1 / C of their power; inverted ones leave less than a tenth of that
)
INAUDIBLE = 1e-12  # mean square: -120 dBFS
NEAR_SILENT = 1e-7  # mean square: -70 dBFS
OVERS = 32.0  # floats may exceed 1, but not by 30 dB
FULL_SCALES = (2.0**15, 2.0**31)  # of floats that hold 16-bit or 32-bit integers


class Collector:
    """Takes a recording block by block and makes a clip of it.

    name: of the clip in messages; sample_rate: the wanted rate in Hz; max_seconds: the longest clip.
    Every method raises AudioError for samples that cannot be used.
    """

    def __init__(self, name: str, sample_rate: int, max_seconds: float = MAX_SECONDS) -> None:
        self.name = name
        self.rate_out = sample_rate
        self.max_seconds = max_seconds
        self.rate_in = 0
        self.channels = 0
        self.seconds = 0.0  # of all samples so far
        self._check_rate("is wanted at", sample_rate)
        self._resampler: soxr.ResampleStream | None = None
        self._bytes = bytearray()  # grows in place; a list of blocks would be copied once more at the end
        self._level = _Level()
        self._mixer = _Mixer(1)

    def begin(self, rate_in: int, channels: int) -> None:
        """Announce samples at `rate_in` Hz with so many channels. Parts of one file may differ."""
        self._check_rate("has", rate_in)
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(f"{self.name!r} has {channels} channels; mix it down to 1 to {MAX_CHANNELS}.")
        if channels != self.channels:
            self.channels, self._mixer = channels, _Mixer(channels, self._mixer.chosen)
        if rate_in == self.rate_in:
            return
        self._flush()
        self.rate_in = rate_in
        if rate_in != self.rate_out:
            self._resampler = soxr.ResampleStream(rate_in, self.rate_out, 1, dtype="float32")

    @property
    def block(self) -> int:
        """The most samples of a block."""
        return max(1, min(int(BLOCK_SECONDS * self.rate_in), BLOCK_VALUES // self.channels))

    def add(self, block_SC: np.ndarray) -> None:
        """Take the next samples of all channels, (S, C) float32."""
        if self.seconds + len(block_SC) / self.rate_in > self.max_seconds:
            raise AudioError(f"{self.name!r} is longer than {self.max_seconds:g} s; cut it into shorter files.")
        with np.errstate(over="ignore", invalid="ignore"):  # such values are found by the next check
            block_S = self._mixer.mix(block_SC)
            invalid_S = ~(np.abs(block_S) <= LOUDEST)  # true for NaN too
        if invalid_S.any():
            at = int(invalid_S.argmax())
            raise AudioError(
                f"{self.name!r} holds a sample of {block_S[at]:g} at {self.seconds + at / self.rate_in:.3f} s; "
                "give finite samples around [-1, 1]."
            )
        self._level.add(block_S, self.seconds, self.rate_in)
        self.seconds += len(block_S) / self.rate_in
        self._append(block_S, last=False)

    def clip(self, *, warn_of_silence: bool = True) -> Clip:
        """The whole clip; to be called once, after the last block."""
        if self._level.samples == 0:
            raise AudioError(f"{self.name!r} holds no samples that can be decoded; give a recording with sound in it.")
        self._flush()
        if not self._bytes:  # a sample or two at a high rate are less than half a sample at a low one
            self._bytes += np.zeros(1, dtype=np.float32).tobytes()
        waveform_S = np.frombuffer(self._bytes, dtype=np.float32)
        if self._mixer.chosen is not None:
            log.warning(
                "%r has channels that cancel each other out when mixed; where they do, channel %d is used instead.",
                self.name,
                self._mixer.chosen + 1,
            )
        gain = self._level.gain(self.name)
        if gain != 1:
            waveform_S *= gain
        if warn_of_silence and self._level.square * gain * gain < NEAR_SILENT * self._level.samples:
            log.warning("%r is nearly silent: its level is below -70 dBFS.", self.name)
        return Clip(waveform_S, self.rate_out, self.name)

    def _check_rate(self, verb: str, rate: int) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"{self.name!r} {verb} {rate} Hz; use a sample rate from {MIN_RATE} to {MAX_RATE} Hz.")

    def _append(self, block_S: np.ndarray, *, last: bool) -> None:
        if self._resampler is not None:
            block_S = self._resampler.resample_chunk(block_S, last=last)
        self._bytes += block_S.tobytes()

    def _flush(self) -> None:
        if self._resampler is not None:
            self._append(np.zeros(0, dtype=np.float32), last=True)
            self._resampler = None


class _Mixer:
    """The mean of the channels, but one of them where they cancel each other out.

    chosen: the channel that was used so far, or None; kept until it falls silent, so that the sound does not jump.
    """

    def __init__(self, channels: int, chosen: int | None = None) -> None:
        self.chosen = chosen
        self._channels = channels

    def mix(self, block_SC: np.ndarray) -> np.ndarray:
        if self._channels == 1 or len(block_SC) == 0:
            return np.ascontiguousarray(block_SC[:, 0])
        block_S: np.ndarray = block_SC.mean(axis=1)
        mixed = np.square(block_S, dtype=np.float64).mean()
        power_C = np.einsum("sc,sc->c", block_SC, block_SC) / len(block_SC)
        if power_C.mean() < INAUDIBLE or not mixed * self._channels < CANCELLED * power_C.mean():
            return block_S
        loudest = int(power_C.argmax())
        is_silent = self.chosen is None or self.chosen >= self._channels or power_C[self.chosen] < power_C[loudest] / 4
        if is_silent:
            self.chosen = loudest
        return np.ascontiguousarray(block_SC[:, self.chosen])


class _Level:
    """Measures the level of a clip, to find floats on an integer scale and clips that are nearly silent."""

    def __init__(self) -> None:
        self.samples = 0
        self.square = 0.0
        self.peak, self.peak_seconds = 0.0, 0.0
        self.nonzero, self.over = 0, 0  # how many samples are not zero, and beyond 1

    def add(self, block_S: np.ndarray, seconds: float, rate: int) -> None:
        size_S = np.abs(block_S)
        self.samples += len(block_S)
        self.square += float(np.dot(block_S, block_S))
        self.nonzero += int(np.count_nonzero(block_S))
        self.over += int(np.count_nonzero(size_S > 1))
        if len(size_S) and size_S.max() > self.peak:
            at = int(size_S.argmax())
            self.peak, self.peak_seconds = float(size_S[at]), seconds + at / rate

    def gain(self, name: str) -> float:
        """What to multiply the clip by. Raises AudioError for a spike; warns of another scale."""
        gain = 1.0
        if self.peak > OVERS:
            if self.over <= self.nonzero / 2:
                raise AudioError(
                    f"{name!r} holds a sample of {self.peak:g} at {self.peak_seconds:.3f} s, while most are within "
                    "[-1, 1]; remove or scale it."
                )
            full = next((scale for scale in FULL_SCALES if self.peak <= scale), FULL_SCALES[-1])
            gain = 1 / full
            bits = 16 if full == FULL_SCALES[0] else 32
            log.warning(
                "%r holds samples up to %g instead of 1; they are read as %d-bit integers.", name, self.peak, bits
            )
        return gain
