"""The wavs in a file: joined ones, and ones that were never closed, whose header claims 0, 2 or 4 GB."""

from __future__ import annotations

import struct
from typing import BinaryIO

from mellow.audio import mpeg
from mellow.audio.window import Part, Parts, read_at
from mellow.errors import AudioError

__all__ = ["SLACK_SECONDS", "wav_parts"]

SLACK_SECONDS = 0.1  # headers that are off by a few bytes are common; a cut file misses more
MOST_SLACK_BYTES = 1 << 16  # for headers with a wrong rate
SEARCHED = 1 << 20  # bytes in memory at once


def wav_parts(file: BinaryIO, size: int, name: str) -> Parts:
    """One part per RIFF; sizes of a wav that was never closed are set to those of the file."""
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
        return Part(start, size), size  # no samples at all: libsndfile reports it
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
        warnings.append("was not closed: its header claims no sound; it is decoded up to the end of the file")
    elif claimed > rest + slack and not _is_streamed(claimed):
        raise AudioError(
            f"{name!r} is cut short: it holds {rest:,} of the {claimed:,} bytes of samples that its header claims; "
            "make or fetch the file again."
        )
    return Part(start, size, (patch,)), size


def _is_streamed(claimed: int) -> bool:
    """Whether a size is a placeholder of writers that cannot seek back: about 2 or 4 GB, or the end of 64 bits."""
    return 0x7FFF_0000 <= claimed <= 0x8000_FFFF or 0xFFFF_0000 <= claimed <= 0xFFFF_FFFF or claimed >> 62 > 0


def _is_riff(file: BinaryIO, at: int) -> bool:
    return read_at(file, at, 4) in (b"RIFF", b"RF64")


def _behind_chunks(file: BinaryIO, at: int, size: int) -> int:
    """Where the chunks from `at` on end: at another RIFF, the end of the file, or bytes that are not a chunk."""
    for begin in (at + 1, at):  # chunks begin at even bytes, but some writers leave out the padding byte
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
    """Where the next joined wav begins, or `size`; tags, zeros and a few bytes after the last chunk are not sound."""
    if size - at <= slack or mpeg.behind_tags(file, at, size) > at or _is_zero(file, at, size):
        return size
    if _is_riff(file, at):
        return at
    raise AudioError(
        f"{name!r} holds {size - at:,} bytes after the samples that its header claims; "
        "if they are sound, rewrite the header, else remove them."
    )


def _is_zero(file: BinaryIO, at: int, size: int) -> bool:
    file.seek(at)
    return not any(file.read(min(SEARCHED, size - begin)).strip(b"\0") for begin in range(at, size, SEARCHED))
