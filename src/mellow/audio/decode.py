"""From files, bytes and arrays to bounded, finite, mono float32 at the rate an encoder wants.

Decoding goes block by block: the header's length is never believed, memory grows with what was really decoded (at most
`max_seconds` of mono at the target rate), and the resampler streams.
"""

from __future__ import annotations

import io
import os
import re
import stat
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from mellow.errors import AudioError
from mellow.types import Clip

__all__ = ["MAX_SECONDS", "Source", "from_array", "load"]

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

MAX_SECONDS = 3600.0
MIN_RATE, MAX_RATE = 4_000, 384_000  # Hz
MAX_CHANNELS = 32
BLOCK_SECONDS = 1.0
BLOCK_VALUES = 1 << 20  # samples times channels of a block: 4 MB of float32, whatever rate and channels a header claims
LOUDEST = 2.0**31  # floats on an int32 scale still pass; the mel power of anything louder nears the end of float32
SLACK_SECONDS = 0.1  # headers that are off by a few bytes are common; a cut file misses more
STREAMED_BYTES = 0x7FFF_0000  # writers that cannot seek back claim a size from here up to 2^32 - 1
READABLE = "a wav, flac, ogg, opus, mp3 or aiff file"


def load(source: Source, sample_rate: int, *, max_seconds: float = MAX_SECONDS, name: str | None = None) -> Clip:
    """Decode a recording in any format that libsndfile reads.

    source: a path, the bytes of a file, or a seekable binary file object (read from its beginning).
    sample_rate: wanted rate in Hz; channels are averaged, then resampled.
    max_seconds: longest recording accepted, in seconds.
    name: what errors call the clip; by default its path, "<bytes>" or the file object's name.
    Raises AudioError, one sentence that names the clip, when it is missing, empty, not audio, cut short (where its
    format tells: wav and flac), not finite, too long, or has an impossible rate or number of channels. An mp3 or ogg
    file that ends early is as long as what is there.
    """
    opened, name = _open(source, name)
    with opened as recording:
        collector = _Collector(name, recording.samplerate, recording.channels, sample_rate)
        try:
            _decode(recording, collector, max_seconds)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{name!r} is damaged or cut short after about {collector.seconds:.0f} s ({_reason(error)}); "
                "make or fetch the file again"
            ) from error
        claimed = _claimed_seconds(recording, collector.seconds)
    if claimed > collector.seconds + SLACK_SECONDS:
        raise AudioError(
            f"{name!r} is cut short: it holds {collector.seconds:.1f} s of the {claimed:.1f} s its header tells of; "
            "make or fetch the file again"
        )
    return collector.clip()


def from_array(waveform: np.ndarray, sample_rate_in: int, sample_rate: int, *, name: str = "<array>") -> Clip:
    """Take samples that are already decoded.

    waveform: (S,) or (S, C) with at most 32 channels; floats nominally in [-1, 1], or integers over their full range.
    sample_rate_in, sample_rate: the array's rate and the wanted one, in Hz.
    Raises AudioError for another shape or dtype, no samples, samples that are not finite, or impossible rates.
    """
    waveform = np.asarray(waveform)
    if waveform.dtype.kind not in "fiu":
        raise AudioError(f"{name!r} has dtype {waveform.dtype}, which is not sound; give floats or integers")
    if waveform.ndim not in (1, 2) or (waveform.ndim == 2 and waveform.shape[1] > MAX_CHANNELS):
        raise AudioError(
            f"{name!r} has shape {waveform.shape}; give (samples,) or (samples, channels) "
            f"with at most {MAX_CHANNELS} channels"
        )
    waveform_SC = waveform[:, None] if waveform.ndim == 1 else waveform
    collector = _Collector(name, sample_rate_in, waveform_SC.shape[1], sample_rate)
    for start in range(0, len(waveform_SC), collector.block):
        collector.add(_scaled(waveform_SC[start : start + collector.block]))
    return collector.clip()


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A recording that is only read forward.

    soundfile seeks after each read, which garbles what follows in an mp3 and fails in a flac without a length.
    """

    def seekable(self) -> bool:
        return False


class _Collector:
    """Turns blocks of samples into one mono waveform at the wanted rate, checking each sample on the way."""

    def __init__(self, name: str, rate_in: int, channels: int, rate_out: int) -> None:
        for verb, rate in (("has", rate_in), ("is wanted at", rate_out)):
            if not MIN_RATE <= rate <= MAX_RATE:
                raise AudioError(f"{name!r} {verb} {rate} Hz; use a sample rate from {MIN_RATE} to {MAX_RATE} Hz")
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(f"{name!r} has {channels} channels; mix it down to 1 to {MAX_CHANNELS}")
        self.name = name
        self.rate_in = rate_in
        self.rate_out = rate_out
        self.samples_in = 0
        self.block = min(int(BLOCK_SECONDS * rate_in), BLOCK_VALUES // channels)
        self._resampler = None if rate_in == rate_out else soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")
        self._bytes = bytearray()  # grows in place; a list of blocks would be copied once more at the end

    @property
    def seconds(self) -> float:
        """Length of what has come in so far."""
        return self.samples_in / self.rate_in

    def add(self, block_SC: np.ndarray) -> None:
        """Take the next samples of all channels, (S, C) float32."""
        with np.errstate(over="ignore", invalid="ignore"):  # the next check finds what these would warn of
            block_S = block_SC.mean(axis=1) if block_SC.shape[1] > 1 else np.ascontiguousarray(block_SC[:, 0])
            unsound_S = ~(np.abs(block_S) <= LOUDEST)  # true for NaN too
        if unsound_S.any():
            at = int(unsound_S.argmax())
            second = (self.samples_in + at) / self.rate_in
            raise AudioError(
                f"{self.name!r} holds a sample of {block_S[at]:g} at {second:.3f} s; give finite samples around [-1, 1]"
            )
        self.samples_in += len(block_S)
        self._append(block_S, last=False)

    def clip(self) -> Clip:
        """The whole clip; to be called once, after the last block."""
        if self.samples_in == 0:
            raise AudioError(f"{self.name!r} holds no samples; give a recording with sound in it")
        self._append(np.zeros(0, dtype=np.float32), last=True)
        if not self._bytes:  # a sample or two at a high rate are less than half a sample at a low one
            self._bytes += np.zeros(1, dtype=np.float32).tobytes()
        return Clip(np.frombuffer(self._bytes, dtype=np.float32), self.rate_out, self.name)

    def _append(self, block_S: np.ndarray, *, last: bool) -> None:
        if self._resampler is not None:
            block_S = self._resampler.resample_chunk(block_S, last=last)
        self._bytes += block_S.tobytes()


def _open(source: Source, name: str | None) -> tuple[soundfile.SoundFile, str]:
    """Open a source and settle its name."""
    target: str | BinaryIO
    if isinstance(source, (str, os.PathLike)):
        target = os.fspath(source)
        name = name or target
        size = _file_size(target, name)
    else:
        target = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
        own_name = "<bytes>" if target is not source else getattr(source, "name", None)
        name = name or (own_name if isinstance(own_name, str) else "<stream>")
        size = _stream_size(target, name)
    if size == 0:
        raise AudioError(f"{name!r} is empty; give {READABLE}")
    try:
        recording = _Forward(os.fsencode(target) if isinstance(target, str) and os.name == "posix" else target)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a file called .raw
        raise AudioError(f"{name!r} is not audio that can be read; give {READABLE}") from error
    if recording.format == "RAW":  # guessed from the file's ending only
        recording.close()
        raise AudioError(f"{name!r} has no header that tells its rate and format; give {READABLE}")
    return recording, name


def _file_size(path: str, name: str) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise AudioError(f"there is no file {name!r}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero character in the path
        raise AudioError(f"{name!r} cannot be opened ({_reason(error)}); check the path and its permissions") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{name!r} is a directory; give one of the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{name!r} is a pipe or a device, not a file; pass its bytes instead")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{name!r} cannot be read; check its permissions")
    return status.st_size


def _stream_size(stream: BinaryIO, name: str) -> int:
    """Length in bytes of a file object, which is left at its beginning."""
    try:
        stream.seek(0, io.SEEK_END)
        size = stream.tell()
        stream.seek(0)
        is_binary = isinstance(stream.read(0), bytes)
    except (AttributeError, OSError, ValueError) as error:
        raise AudioError(f"{name!r} is not an open, seekable file; pass its bytes instead") from error
    if not is_binary:
        raise AudioError(f"{name!r} is open as text; open it with mode 'rb'")
    return size


def _decode(recording: soundfile.SoundFile, collector: _Collector, max_seconds: float) -> None:
    """Feed the collector block by block until the recording really ends or is too long."""
    most = int(max_seconds * collector.rate_in)
    buffer_SC = np.empty((collector.block, recording.channels), dtype=np.float32)
    while True:
        block_SC = recording.read(out=buffer_SC)
        if collector.samples_in + len(block_SC) > most:
            raise AudioError(f"{collector.name!r} is longer than {max_seconds:g} s; cut it, or raise max_seconds")
        if len(block_SC) == 0:
            return
        collector.add(block_SC)


def _claimed_seconds(recording: soundfile.SoundFile, seconds: float) -> float:
    """How long a wav or flac header says that the recording is; `seconds`, what it really holds, where it does not say.

    Other formats tell nothing or guess (an mp3 without a Xing frame), and so does a header written to a pipe.
    """
    if recording.format == "FLAC":
        unknown = recording.frames >= 1 << 36  # STREAMINFO has 36 bits; libsndfile's "unknown" is beyond them
        return seconds if unknown else float(recording.frames / recording.samplerate)
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)", recording.extra_info, flags=re.MULTILINE)
    if sizes is None:
        return seconds
    claimed, found = int(sizes[1]), int(sizes[2])
    if found == 0 or claimed >= STREAMED_BYTES:
        return seconds
    return seconds * claimed / found


def _scaled(block_SC: np.ndarray) -> np.ndarray:
    """Float32 samples in [-1, 1) from integers over their full range; floats as they are."""
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which the collector reports
        if block_SC.dtype.kind == "f":
            return block_SC.astype(np.float32, copy=False)
        half = 2.0 ** (8 * block_SC.dtype.itemsize - 1)
        middle = half if block_SC.dtype.kind == "u" else 0.0
        return ((block_SC.astype(np.float64) - middle) / half).astype(np.float32)


def _reason(error: Exception) -> str:
    """The cause in an exception's own words, fit for the middle of a sentence."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else getattr(error, "strerror", None)
    return str(text or error).removeprefix("Error : ").rstrip(". ")
