"""The parts of a file: joined recordings are heard one after the other, and wrong lengths in headers are corrected.

libsndfile and mpg123 believe a header's length and stop there, and they stop at the end of the first of joined files.
Here the bytes are walked first, by chunk, page or frame; what is decoded is a `Window` on each part, whose wrong counts
are patched as they are read. The file itself is never changed.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from mellow.audio import mpeg
from mellow.audio.recognise import Kind, read_at
from mellow.errors import AudioError

__all__ = ["SLACK_SECONDS", "Part", "Parts", "Window", "parts_of"]

SLACK_SECONDS = 0.1  # headers that are off by a few bytes are common; a cut file misses more
MOST_SLACK_BYTES = 1 << 16  # for headers whose rate lies
LOST_PAGES = 1024  # bytes: 0.1 s at 80 kbit/s
MOST_PARTS = 10_000
SEARCHED = 1 << 20  # bytes in memory at once while something is looked for
STREAMINFO = (b"\0\0\0\x22", b"\x80\0\0\x22")  # follows a flac's marker: a block of 34 bytes, others behind it or not
FLAC_COUNT_AT = 18  # of 8 bytes, whose last 36 bits count samples; 0 is "unknown"


@dataclass(frozen=True)
class Part:
    """A recording inside a file: the bytes from `start` to `end`.

    patches: bytes to read in place of the file's, by their offset in the file.
    claimed: its length in seconds, as the container counts it; None where it does not.
    is_exact: a part that holds less than it claims is cut short; else this is only worth a warning.
    """

    start: int
    end: int
    patches: tuple[tuple[int, bytes], ...] = ()
    claimed: float | None = None
    is_exact: bool = False


@dataclass
class Parts:
    """All parts of a file in order, and what is to be said about it: ends of sentences that begin with its name."""

    parts: list[Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Window(io.RawIOBase):
    """A part as a file of its own. What the file beneath raises is kept in `error`: C code cannot pass it on."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file = file
        self._part = part
        self._at = part.start
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._part.start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: self._part.start, io.SEEK_CUR: self._at, io.SEEK_END: self._part.end}[whence]
        self._at = max(self._part.start, origin + offset)
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._part.end - self._at)
        try:
            data = bytes(read_at(self._file, self._at, left if size < 0 else min(size, left)))
        except (AudioError, OSError) as error:
            self.error = error
            return b""
        for at, new in self._part.patches:
            if self._at < at + len(new) and at < self._at + len(data):
                data = _patched(data, at - self._at, new)
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def parts_of(file: BinaryIO, size: int, kind: Kind | None, name: str) -> Parts:
    """The parts of a file of `size` bytes; one for a kind that has none. Raises AudioError for lost or cut sound."""
    walk = {"wav": _wav, "flac": _flac, "ogg": _ogg, "mp3": _mp3}.get(kind.parts if kind else "")
    found = walk(file, size, name) if walk else Parts([Part(0, size)])
    if len(found.parts) > MOST_PARTS:
        raise AudioError(f"{name!r} is made of {len(found.parts):,} joined recordings; join at most {MOST_PARTS:,}.")
    return found


# --- wav --------------------------------------------------------------------------------------------------------------


def _wav(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per RIFF; sizes of a wav that was never closed are set to what is there."""
    found = Parts()
    at = 0
    while at < size and _is_riff(file, at):
        part, at = _riff(file, at, size, name, found.warnings)
        found.parts.append(part)
    return found if found.parts else Parts([Part(0, size)])  # RIFX, which is big-endian


def _riff(file: BinaryIO, start: int, size: int, name: str, warnings: list[str]) -> tuple[Part, int]:
    """The wav that begins at `start`, and where the next one begins."""
    at, byte_rate, long_at = start + 12, 0, 0
    while at + 8 <= size:
        chunk, claimed = struct.unpack("<4sI", read_at(file, at, 8))
        if chunk == b"data":
            break
        if chunk == b"ds64":
            long_at = at + 16
        elif chunk == b"fmt ":
            byte_rate = int.from_bytes(read_at(file, at + 16, 4), "little")
        at += 8 + claimed + claimed % 2
    else:
        return Part(start, size), size  # no samples at all: libsndfile says what it thinks of it
    begin, rest = at + 8, size - at - 8
    patch = (at + 4, struct.pack("<I", min(rest, 0xFFFF_FFFF)))
    if long_at and claimed == 0xFFFF_FFFF:  # RF64, of more than 4 GB
        claimed = int.from_bytes(read_at(file, long_at, 8), "little")
        patch = (long_at, struct.pack("<Q", rest))
    slack = max(64, min(int(SLACK_SECONDS * byte_rate), MOST_SLACK_BYTES))
    if claimed <= rest:
        behind = _behind_chunks(file, begin + claimed, size)
        is_known = size - behind <= (slack if claimed else 0) or _is_riff(file, behind)
        if is_known or claimed > slack:
            return Part(start, begin + claimed), _next_riff(file, behind, size, slack, name)
        warnings.append("was not closed: its header tells of no sound; it is heard up to the end of the file")
    elif claimed > rest + slack and not _is_streamed(claimed):
        raise AudioError(
            f"{name!r} is cut short: it holds {rest:,} of the {claimed:,} bytes of samples that its header tells of; "
            "make or fetch the file again."
        )
    return Part(start, size, (patch,)), size


def _is_streamed(claimed: int) -> bool:
    """Whether a size is what writers claim that cannot seek back to it: about 2 or 4 GB, or the end of 64 bits."""
    return 0x7FFF_0000 <= claimed <= 0x8000_FFFF or 0xFFFF_0000 <= claimed <= 0xFFFF_FFFF or claimed >> 62 > 0


def _is_riff(file: BinaryIO, at: int) -> bool:
    return read_at(file, at, 4) in (b"RIFF", b"RF64")


def _behind_chunks(file: BinaryIO, at: int, size: int) -> int:
    """Where the chunks end that follow each other from `at` on: at another RIFF, the end, or what is no chunk."""
    for begin in (at + 1, at):  # a chunk begins at an even byte, but some writers leave out the one that makes it so
        first = begin
        while begin + 8 <= size:
            chunk, length = struct.unpack("<4sI", read_at(file, begin, 8))
            is_chunk = all(0x20 <= byte < 0x7F for byte in chunk) and chunk not in (b"RIFF", b"RF64")
            if not is_chunk or begin + 8 + length > size:
                break
            begin += 8 + length + length % 2
        if begin > first or _is_riff(file, begin):
            return min(begin, size)
    return min(at, size)


def _next_riff(file: BinaryIO, at: int, size: int, slack: int, name: str) -> int:
    """Where the next joined wav begins, or `size`; tags, zeros and a few bytes behind the last chunk are no sound."""
    if size - at <= slack or mpeg.behind_tags(file, at, size) > at or _is_zero(file, at, size):
        return size
    if _is_riff(file, at):
        return at
    raise AudioError(
        f"{name!r} holds {size - at:,} bytes behind the samples that its header tells of; "
        "if they are sound, write its header anew, else cut them off."
    )


def _is_zero(file: BinaryIO, at: int, size: int) -> bool:
    file.seek(at)
    return not any(file.read(min(SEARCHED, size - begin)).strip(b"\0") for begin in range(at, size, SEARCHED))


# --- flac -------------------------------------------------------------------------------------------------------------


def _flac(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per STREAMINFO, whose count of samples is not told to the decoder, which would stop there."""
    starts = [at for at in _all(file, b"fLaC", size) if read_at(file, at + 4, 4) in STREAMINFO] or [0]
    found = Parts()
    for start, end in zip(starts, [*starts[1:], size], strict=True):
        fields = int.from_bytes(read_at(file, start + FLAC_COUNT_AT, 8), "big")
        rate, samples = fields >> 44, fields & (1 << 36) - 1
        patch = (start + FLAC_COUNT_AT, (fields >> 36 << 36).to_bytes(8, "big"))
        claimed = samples / rate if samples and rate else None
        found.parts.append(Part(start, end, (patch,), claimed, is_exact=True))
    return found


def _all(file: BinaryIO, marker: bytes, size: int) -> list[int]:
    """Every place of a marker in a file."""
    places = []
    file.seek(0)
    kept = b""
    for begin in range(0, size, SEARCHED):
        chunk = kept + file.read(SEARCHED)
        at = chunk.find(marker)
        while at >= 0:
            places.append(begin - len(kept) + at)
            at = chunk.find(marker, at + 1)
        kept = chunk[1 - len(marker) :]
    return places


# --- ogg --------------------------------------------------------------------------------------------------------------


def _ogg(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per chained stream: it begins with a page that says so, behind one that does not."""
    found = Parts()
    at, start, was_first, lost = 0, 0, True, 0
    times = _Times()
    while at < size:
        head = read_at(file, at, 27)
        if head[:4] != b"OggS" or len(head) < 27:
            behind = _next_page(file, at + 1, size)
            lost, at = lost + behind - at, behind
            continue
        is_first = bool(head[5] & 2)
        if is_first and not was_first:
            found.parts.append(Part(start, at, claimed=times.seconds))
            start, times = at, _Times()
        body = at + 27 + head[26]
        end = body + sum(file.read(head[26]))
        times.page(head, read_at(file, body, 16) if is_first else b"")
        at, was_first = end, is_first
    found.parts.append(Part(start, size, claimed=times.seconds))
    if lost > LOST_PAGES:
        found.warnings.append(f"is damaged: {lost:,} of its {size:,} bytes are not in ogg pages and are not heard")
    return found


class _Times:
    """The time between a chained stream's first and last page with sound, as their granule positions tell."""

    def __init__(self) -> None:
        self.rates: dict[bytes, int] = {}
        self.first: dict[bytes, int] = {}
        self.seconds: float | None = None

    def page(self, head: bytes, body: bytes) -> None:
        granule, serial = int.from_bytes(head[6:14], "little", signed=True), head[14:18]
        if body[:8] == b"OpusHead":
            self.rates[serial] = 48_000
        elif body[:7] == b"\x01vorbis":
            self.rates[serial] = int.from_bytes(body[12:16], "little")
        if granule > 0 and self.rates.get(serial):
            first = self.first.setdefault(serial, granule)
            self.seconds = max(self.seconds or 0.0, (granule - first) / self.rates[serial])


def _next_page(file: BinaryIO, at: int, size: int) -> int:
    while at < size:
        found = read_at(file, at, SEARCHED).find(b"OggS")
        if found >= 0:
            return at + found
        at += SEARCHED - 3
    return size


# --- mp3 --------------------------------------------------------------------------------------------------------------


def _mp3(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per run of frames; a Xing frame that counts them wrongly is corrected."""
    runs = mpeg.runs(file, size)
    if not runs:
        return Parts([Part(0, size)])
    found = Parts()
    counts: list[tuple[int, int]] = []  # per Xing frame: how many frames it tells of, and how many there are
    for run in runs:
        info = mpeg.info_of(file, run.start, run.first)
        sounding = run.frames - bool(info)
        patches: tuple[tuple[int, bytes], ...] = ()
        if info and info.frames_at:
            counts.append((info.frames, 0))
            if info.frames != sounding:
                patches = ((info.frames_at, sounding.to_bytes(4, "big")),)
                patches += ((info.bytes_at, (run.end - run.start).to_bytes(4, "big")),) if info.bytes_at else ()
        if counts:
            counts[-1] = (counts[-1][0], counts[-1][1] + sounding)
        if sounding:
            found.parts.append(Part(run.start, run.end, patches, run.seconds))
    found.warnings += [
        f"has a header that tells of {told:,} mp3 frames; it holds {held:,}, which are heard"
        for told, held in counts
        if told != held
    ]
    gaps = zip([0, *(run.end for run in runs)], [*(run.start for run in runs), size], strict=True)
    lost = sum(max(0, end - mpeg.behind_tags(file, start, size)) for start, end in gaps)
    heard = sum(run.end - run.start for run in runs)
    if lost * sum(run.seconds for run in runs) > heard * SLACK_SECONDS:
        found.warnings.append(f"is damaged: {lost:,} of its {size:,} bytes are not in mp3 frames and are not heard")
    return found


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    """`data` with `new` written over it from `at` on, which may lie before its beginning or reach beyond its end."""
    changed = bytearray(data)
    for offset, byte in enumerate(new, start=at):
        if 0 <= offset < len(changed):
            changed[offset] = byte
    return bytes(changed)
