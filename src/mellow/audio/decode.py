"""From files and bytes to bounded, finite, mono float32 at the rate an encoder wants.

Decoding goes block by block: the header's length is never believed, memory grows with what was really decoded (at most
`max_seconds` of mono at the target rate), and the resampler streams. What a file is, its content says (`recognise`);
that nothing of it is left out is seen to in `parts`, that nothing gets lost in mixing in `collect`.
"""

from __future__ import annotations

import io
import logging
import operator
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

import numpy as np
import soundfile

from mellow.audio.collect import MAX_SECONDS, Collector
from mellow.audio.parts import SLACK_SECONDS, Part, Window, parts_of
from mellow.audio.quiet import c_libraries_silenced
from mellow.audio.recognise import Kind, read_at, recognise
from mellow.errors import AudioError
from mellow.types import Clip

__all__ = ["load"]

log = logging.getLogger(__name__)

READABLE = "a wav, flac, ogg, opus, mp3 or aiff file"
GAPLESS_SECONDS = 0.3  # what decoders of lossy formats leave out at both ends, at low rates
READ_AHEAD = 1 << 16  # bytes
BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # of a sample
MOST_UNHEARD = 0.25  # headers and pictures may be as long as this part of the samples
FIRST_BYTES = 16  # of an unknown file, to be shown


def load(source: object, sample_rate: int, *, max_seconds: float = MAX_SECONDS, name: str | None = None) -> Clip:
    """Decode a recording in any format that libsndfile reads; with the extra `formats` also m4a, mp4, webm, aac, wma.

    source: a path, the bytes of a file, or a seekable binary file object (read from its beginning).
    sample_rate: wanted rate in Hz; channels are averaged (where they cancel each other out, one is taken), then
        resampled.
    max_seconds: longest recording accepted, in seconds.
    name: what errors call the clip; by default its path, "<bytes>" or the file object's name.
    Joined files are heard as one. What was mended or is missing on the way is logged as a warning.
    Raises AudioError, one sentence that names the clip, when it is missing, empty, not audio, cut short (where its
    format tells: wav and flac), not finite, too long, or has an impossible rate or number of channels. An mp3 or ogg
    file that ends early is as long as what is there.
    """
    with _opened(source, name) as (file, size, name):
        collector = Collector(name, sample_rate, max_seconds)
        try:
            kind = recognise(file, size)
            if kind is not None and kind.demuxer:
                _decode_track(file, size, kind, collector)
            else:
                _decode_parts(file, size, kind, collector)
        except OSError as error:
            raise AudioError(f"{name!r} cannot be read ({_reason(error)}); check the disk that it is on.") from error
    return collector.clip()


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A recording that is only read forward.

    soundfile seeks after each read, which garbles what follows in an mp3 and fails in a flac without a length.
    """

    def seekable(self) -> bool:
        return False


def _decode_parts(file: BinaryIO, size: int, kind: Kind | None, collector: Collector) -> None:
    """Feed the collector with all parts of a file that libsndfile reads."""
    parts = parts_of(file, size, kind, collector.name)
    for part in parts.parts:
        before = collector.seconds
        warning = _decode_part(file, part, kind, collector, is_only=len(parts.parts) == 1)
        parts.warnings += [warning] if warning else []
        heard = collector.seconds - before
        if part.claimed is None:
            continue
        if part.is_exact and heard + SLACK_SECONDS < part.claimed:
            raise AudioError(
                f"{collector.name!r} is cut short: it holds {heard:.1f} s of the {part.claimed:.1f} s its header tells "
                "of; make or fetch the file again."
            )
        if part.is_exact and heard > part.claimed + SLACK_SECONDS:
            parts.warnings.append(
                f"has a header that tells of {part.claimed:.1f} s; it holds {heard:.1f} s, which are heard"
            )
        elif heard + GAPLESS_SECONDS < part.claimed:
            parts.warnings.append(f"is damaged: only {heard:.1f} s of {part.claimed:.1f} s can be decoded")
    if len(parts.parts) > 1:
        log.info("%r is made of %d joined recordings, which are heard as one.", collector.name, len(parts.parts))
    for warning in dict.fromkeys(parts.warnings):
        log.warning("%r %s.", collector.name, warning)


def _decode_part(file: BinaryIO, part: Part, kind: Kind | None, collector: Collector, *, is_only: bool) -> str:
    """Feed the collector with one part; returns what is to be warned of, or an empty text."""
    before = collector.seconds
    window = Window(file, part)
    with c_libraries_silenced():
        try:
            recording = _Forward(window)
        except soundfile.LibsndfileError as error:
            if not is_only and window.error is None:
                return "is damaged: some of its parts cannot be decoded and are not heard"
            raise window.error or AudioError(_unreadable(file, kind, collector.name, error)) from error
        with recording:
            collector.begin(recording.samplerate, recording.channels)
            buffer_SC = np.empty((collector.block, recording.channels), dtype=np.float32)
            try:
                while len(block_SC := recording.read(out=buffer_SC)):
                    collector.add(block_SC)
            except soundfile.LibsndfileError as error:
                heard = collector.seconds - before
                if window.error is None and (part.claimed is None or heard + SLACK_SECONDS < part.claimed):
                    where = f"behind {collector.seconds:.1f} s{_because(error)}"
                    raise AudioError(
                        f"{collector.name!r} is damaged or cut short {where}; make or fetch the file again."
                    ) from error
            heard_bytes = (collector.seconds - before) * recording.samplerate * recording.channels
            heard_bytes *= BYTES.get(recording.subtype, 0)
    if window.error is not None:
        raise window.error
    unheard = part.end - part.start - round(heard_bytes)
    if (kind is None or not kind.parts) and heard_bytes and unheard > MOST_UNHEARD * heard_bytes:
        return f"holds {unheard:,} bytes outside of the samples that its header tells of; they are not heard"
    return ""


def _decode_track(file: BinaryIO, size: int, kind: Kind, collector: Collector) -> None:
    """Feed the collector with the audio track of a file that FFmpeg reads."""
    name = collector.name
    try:
        from mellow.audio.formats import AudioTrack  # PyAV is an extra
    except ImportError as error:
        raise AudioError(
            f"{name!r} is {kind.what}, which needs PyAV: pip install 'mellow-audio[formats]', "
            "or convert it to wav or flac."
        ) from error
    window = Window(file, Part(0, size))
    try:
        with closing(AudioTrack(window, kind.demuxer or "")) as track:
            if track.tracks == 0:
                raise AudioError(f"{name!r} is {kind.what} without an audio track; give a file with sound.")
            for rate, frame_SC in track.blocks():
                collector.begin(rate, frame_SC.shape[1])
                for start in range(0, len(frame_SC), collector.block):
                    collector.add(frame_SC[start : start + collector.block])
            claimed = track.claimed if kind.demuxer == "mov" else None  # others guess
    except AudioError:
        raise
    except Exception as error:  # FFmpeg's own, and what Python makes of damaged counts and texts
        raise AudioError(
            f"{name!r} is {kind.what} that cannot be decoded behind {collector.seconds:.1f} s"
            f"{_because(error)}; convert it to wav or flac, or fetch it again."
        ) from error
    if claimed is not None and collector.seconds + GAPLESS_SECONDS < claimed:
        raise AudioError(
            f"{name!r} is cut short: it holds {collector.seconds:.1f} s of the {claimed:.1f} s its header tells of; "
            "make or fetch the file again."
        )
    if track.tracks > 1:
        log.warning("%r has %d audio tracks; the first of them is heard.", name, track.tracks)


def _unreadable(file: BinaryIO, kind: Kind | None, name: str, error: Exception) -> str:
    """The sentence about a file that libsndfile does not open."""
    if kind is None:
        first = read_at(file, 0, FIRST_BYTES)
        return f"{name!r} is not audio in a known format (its content begins with {first!r}); give {READABLE}."
    if not kind.audio:
        return f"{name!r} is {kind.what}; give {READABLE}."
    if kind.parts:
        return f"{name!r} is {kind.what} that cannot be decoded{_because(error)}; make or fetch it again."
    return f"{name!r} is {kind.what}, which Mellow cannot read; convert it to wav or flac."


@contextmanager
def _opened(source: object, name: str | None) -> Iterator[tuple[BinaryIO, int, str]]:
    """A source as an open binary file, its size in bytes, and its name."""
    if isinstance(source, (str, os.PathLike)):
        path = _path(source)
        name = name or path
        size = _file_size(path, name)
        try:
            file = open(path, "rb")  # noqa: SIM115  # closed below
        except OSError as error:
            raise AudioError(f"{name!r} cannot be opened ({_reason(error)}); check its permissions.") from error
        with file:
            yield file, size, name
        return
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = io.BytesIO(source)
        name = name or "<bytes>"
        yield data, _not_empty(data.getbuffer().nbytes, name), name
        return
    own_name = getattr(source, "name", None)
    name = name or (own_name if isinstance(own_name, str) else "<stream>")
    size = _stream_size(source, name)
    with io.BufferedReader(_Stream(source, size, name), READ_AHEAD) as stream:
        yield stream, size, name


class _Stream(io.RawIOBase):
    """A user's file object, which may do anything, as one that reads or raises AudioError. It is not closed."""

    def __init__(self, stream: Any, size: int, name: str) -> None:
        self._stream, self._size, self._name = stream, size, name
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        try:
            self._stream.seek(self._at)
            data = memoryview(self._stream.read(wanted))[:wanted]
            buffer[: len(data)] = data
        except Exception as error:
            raise AudioError(f"{self._name!r} cannot be read ({_reason(error)}); give its bytes instead.") from error
        if len(data) == 0:
            raise AudioError(f"{self._name!r} ended at byte {self._at:,} of {self._size:,}; give its bytes instead.")
        self._at += len(data)
        return len(data)


def _path(source: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(source)
    except Exception as error:  # a user's __fspath__ may raise anything
        raise AudioError(
            f"A path of type {type(source).__name__} cannot be used ({_reason(error)}); give a str."
        ) from error


def _file_size(path: str, name: str) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        if path == "":
            raise AudioError("The path of the clip is empty; give the name of a file.") from error
        if os.path.islink(path):
            raise AudioError(f"{name!r} is a link to a file that is not there; check where it leads.") from error
        if "://" in path:
            raise AudioError(f"{name!r} is an address, not a file; download it first.") from error
        raise AudioError(f"There is no file {name!r}; check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero character in the path
        raise AudioError(f"{name!r} cannot be opened ({_reason(error)}); check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{name!r} is a directory; give one of the files in it.")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{name!r} is a pipe or a device, not a file; save it to a file first.")
    return _not_empty(status.st_size, name)


def _stream_size(stream: Any, name: str) -> int:
    """Length in bytes of a file object."""
    try:
        size = 0 if isinstance(stream, io.TextIOBase) else operator.index(stream.seek(0, io.SEEK_END) or stream.tell())
        stream.seek(0)
        is_binary = isinstance(stream.read(0), bytes)
    except Exception as error:  # it may do anything
        raise AudioError(f"{name!r} is not an open file that can seek; give its bytes instead.") from error
    if not is_binary:
        raise AudioError(f"{name!r} is open as text; open it with mode 'rb'.")
    return _not_empty(size, name)


def _not_empty(size: int, name: str) -> int:
    if size == 0:
        raise AudioError(f"{name!r} is empty; give {READABLE}.")
    return size


def _because(error: Exception) -> str:
    """The cause in brackets, if it is one: libsndfile's "not recognised" and "does not exist" tell nothing here."""
    reason = "" if getattr(error, "code", None) in (1, 7) else _reason(error)
    return f" ({reason})" if reason else ""


def _reason(error: Exception) -> str:
    """The cause in an exception's own words, fit for the middle of a sentence."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else getattr(error, "strerror", None)
    if text is None:
        text = str(error) or type(error).__name__
    return " ".join(text.removeprefix("Error : ").split()).rstrip(". ")
