"""The parts of a file: joined recordings are decoded one after the other, and wrong lengths in headers are corrected.

libsndfile and mpg123 trust a header's length and stop there, and they stop at the end of the first of joined files.
Here the file is scanned first, by chunk, page or frame; each part is then decoded through a `Window`, which corrects
wrong counts as they are read.
"""

from __future__ import annotations

from typing import BinaryIO

from mellow.audio import mpeg
from mellow.audio.recognise import Kind
from mellow.audio.riff import SLACK_SECONDS, wav_parts
from mellow.audio.window import Part, Parts, read_at
from mellow.errors import AudioError

__all__ = ["parts_of"]

LOST_PAGES = 1024  # bytes: 0.1 s at 80 kbit/s
MOST_LOST = 0.1  # a file of which more bytes are lost is refused
MOST_PARTS = 10_000
SEARCHED = 1 << 20  # bytes in memory at once while something is looked for
STREAMINFO = (b"\0\0\0\x22", b"\x80\0\0\x22")  # follows a flac's marker: a block of 34 bytes, the last one or not
FLAC_COUNT_AT = 18  # of 8 bytes, whose last 36 bits count samples; 0 is "unknown"


def parts_of(file: BinaryIO, size: int, kind: Kind | None, name: str) -> Parts:
    """The parts of a file of `size` bytes, often a single one. Raises AudioError where sound is lost or cut off."""
    walk = {"wav": wav_parts, "flac": _flac, "ogg": _ogg, "mp3": _mp3}.get(kind.parts if kind else "")
    found = walk(file, size, name) if walk else Parts([Part(0, size)])
    if len(found.parts) > MOST_PARTS:
        raise AudioError(f"{name!r} consists of {len(found.parts):,} joined recordings; join at most {MOST_PARTS:,}.")
    return found


# --- flac -------------------------------------------------------------------------------------------------------------


def _flac(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per STREAMINFO; its count of samples is hidden from the decoder, which would stop there."""
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
    """One part per chained stream: it starts with a page flagged as first, after one that is not."""
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
        found.warnings.append(_damage(lost, size, "ogg pages", name))
    return found


class _Times:
    """The time between a chained stream's first and last page with sound, by their granule positions."""

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
    counts: list[tuple[int, int]] = []  # per Xing frame: how many frames it claims, and how many there are
    for run in runs:
        info = mpeg.info_of(file, run.start, run.first)
        with_sound = run.frames - bool(info)
        patches: tuple[tuple[int, bytes], ...] = ()
        if info and info.frames_at:
            counts.append((info.frames, 0))
            if info.frames != with_sound:
                patches = ((info.frames_at, with_sound.to_bytes(4, "big")),)
                patches += ((info.bytes_at, (run.end - run.start).to_bytes(4, "big")),) if info.bytes_at else ()
        if counts:
            counts[-1] = (counts[-1][0], counts[-1][1] + with_sound)
        if with_sound:
            found.parts.append(Part(run.start, run.end, patches, run.seconds))
    found.warnings += [
        f"has a header that claims {claimed:,} mp3 frames; it holds {held:,}, all of which are used"
        for claimed, held in counts
        if claimed != held
    ]
    gaps = zip([0, *(run.end for run in runs)], [*(run.start for run in runs), size], strict=True)
    lost = sum(max(0, end - mpeg.behind_tags(file, start, size)) for start, end in gaps)
    decoded = sum(run.end - run.start for run in runs)
    if lost * sum(run.seconds for run in runs) > decoded * SLACK_SECONDS:
        found.warnings.append(_damage(lost, size, "mp3 frames", name))
    return found


def _damage(lost: int, size: int, where: str, name: str) -> str:
    """The warning about bytes that are lost. Raises AudioError where they are too many."""
    what = f"is damaged: {lost:,} of its {size:,} bytes are not in {where}"
    if lost > MOST_LOST * size:
        raise AudioError(f"{name!r} {what}; make or fetch the file again.")
    return f"{what} and are skipped"
