"""From files and bytes to bounded, finite, mono float32 at the rate an encoder wants.

Decoding goes block by block: the header's length is never trusted, memory grows with what was really decoded (at most
`max_seconds` of mono at the target rate), and the resampler streams. The format is recognised by content (`recognise`);
`parts` makes sure that no part of a file is skipped, `collect` that mixing to mono loses no sound.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import BinaryIO

import numpy as np
import soundfile

from mellow.audio.collect import MAX_SECONDS, Collector
from mellow.audio.opening import READABLE, opened, reason
from mellow.audio.parts import parts_of
from mellow.audio.quiet import c_libraries_silenced
from mellow.audio.recognise import Kind, recognise
from mellow.audio.riff import SLACK_SECONDS
from mellow.audio.window import Part, Window, read_at
from mellow.errors import AudioError
from mellow.types import Clip

__all__ = ["load"]

log = logging.getLogger(__name__)

GAPLESS_SECONDS = 0.3  # what decoders of lossy formats leave out at both ends, at low rates
BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # of a sample
MOST_SKIPPED = 0.25  # headers and pictures may be this long, as a fraction of the samples
FIRST_BYTES = 16  # of an unknown file, shown in the message


def load(source: object, sample_rate: int, *, max_seconds: float = MAX_SECONDS, name: str | None = None) -> Clip:
    """Decode a recording in any format that libsndfile reads; with the extra `formats` also m4a, mp4, webm, aac, wma.

    source: a path, the bytes of a file, or a seekable binary file object (read from its beginning).
    sample_rate: wanted rate in Hz; channels are averaged (where they cancel each other out, one is taken), then
        resampled.
    max_seconds: longest recording accepted, in seconds.
    name: of the clip in messages; by default its path, "<bytes>" or the file object's name.
    Joined files become one clip. What was corrected or is missing is logged as a warning.
    Raises AudioError, one sentence that names the clip, when it is missing, empty, not audio, cut short (where its
    format records the length: wav and flac), not finite, too long, or has an invalid rate or number of channels. An
    mp3 or ogg file that ends early gives a shorter clip.
    """
    with opened(source, name) as (file, size, name):
        collector = Collector(name, sample_rate, max_seconds)
        try:
            kind = recognise(file, size)
            if kind is not None and kind.demuxer:
                _decode_track(file, size, kind, collector)
            else:
                _decode_parts(file, size, kind, collector)
        except OSError as error:
            raise AudioError(f"{name!r} cannot be read ({reason(error)}); check the disk that it is on.") from error
    return collector.clip()


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A recording that is only read forward.

    soundfile seeks after each read, which corrupts the rest of an mp3 and fails in a flac without a length.
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
        decoded = collector.seconds - before
        if part.claimed is None:
            continue
        if part.is_exact and decoded + SLACK_SECONDS < part.claimed:
            raise AudioError(
                f"{collector.name!r} is cut short: it holds {decoded:.1f} s of the {part.claimed:.1f} s its header "
                "claims; make or fetch the file again."
            )
        if part.is_exact and decoded > part.claimed + SLACK_SECONDS:
            parts.warnings.append(
                f"has a header that claims {part.claimed:.1f} s; it holds {decoded:.1f} s, all of which are used"
            )
        elif decoded + GAPLESS_SECONDS < part.claimed:
            parts.warnings.append(f"is damaged: only {decoded:.1f} s of {part.claimed:.1f} s can be decoded")
    if len(parts.parts) > 1:
        log.info("%r consists of %d joined recordings, which are used as one.", collector.name, len(parts.parts))
    for warning in dict.fromkeys(parts.warnings):
        log.warning("%r %s.", collector.name, warning)


def _decode_part(file: BinaryIO, part: Part, kind: Kind | None, collector: Collector, *, is_only: bool) -> str:
    """Feed the collector with one part; returns a warning, or an empty text."""
    before = collector.seconds
    window = Window(file, part)
    with c_libraries_silenced():
        try:
            recording = _Forward(window)
        except soundfile.LibsndfileError as error:
            if not is_only and window.error is None:
                return "is damaged: some of its parts cannot be decoded and are skipped"
            raise window.error or AudioError(_unreadable(file, kind, collector.name, error)) from error
        with recording:
            collector.begin(recording.samplerate, recording.channels)
            buffer_SC = np.empty((collector.block, recording.channels), dtype=np.float32)
            try:
                while len(block_SC := recording.read(out=buffer_SC)):
                    collector.add(block_SC)
            except soundfile.LibsndfileError as error:
                decoded = collector.seconds - before
                if window.error is None and (part.claimed is None or decoded + SLACK_SECONDS < part.claimed):
                    where = f"after {collector.seconds:.1f} s{_because(error)}"
                    raise AudioError(
                        f"{collector.name!r} is damaged or cut short {where}; make or fetch the file again."
                    ) from error
            decoded_bytes = (collector.seconds - before) * recording.samplerate * recording.channels
            decoded_bytes *= BYTES.get(recording.subtype, 0)
    if window.error is not None:
        raise window.error
    skipped = part.end - part.start - round(decoded_bytes)
    if (kind is None or not kind.parts) and decoded_bytes and skipped > MOST_SKIPPED * decoded_bytes:
        return f"holds {skipped:,} bytes outside of the samples that its header claims; they are skipped"
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
            claimed = track.claimed if kind.demuxer == "mov" else None  # other containers only estimate it
    except AudioError:
        raise
    except Exception as error:  # FFmpeg's own, and what damaged counts and texts cause in Python
        raise AudioError(
            f"{name!r} is {kind.what} that cannot be decoded after {collector.seconds:.1f} s"
            f"{_because(error)}; convert it to wav or flac, or fetch it again."
        ) from error
    if claimed is not None and collector.seconds + GAPLESS_SECONDS < claimed:
        raise AudioError(
            f"{name!r} is cut short: it holds {collector.seconds:.1f} s of the {claimed:.1f} s its header claims; "
            "make or fetch the file again."
        )
    if track.tracks > 1:
        log.warning("%r has %d audio tracks; only the first one is used.", name, track.tracks)


def _unreadable(file: BinaryIO, kind: Kind | None, name: str, error: Exception) -> str:
    """The message about a file that libsndfile does not open."""
    if kind is None:
        first = read_at(file, 0, FIRST_BYTES)
        return f"{name!r} is not audio in a known format (its content begins with {first!r}); give {READABLE}."
    if not kind.audio:
        return f"{name!r} is {kind.what}; give {READABLE}."
    if kind.parts:
        return f"{name!r} is {kind.what} that cannot be decoded{_because(error)}; make or fetch it again."
    return f"{name!r} is {kind.what}, which Mellow cannot read; convert it to wav or flac."


def _because(error: Exception) -> str:
    """The cause in brackets; libsndfile's "not recognised" and "does not exist" say nothing here and are left out."""
    text = "" if getattr(error, "code", None) in (1, 7) else reason(error)
    return f" ({text})" if text else ""
