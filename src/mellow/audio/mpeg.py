"""The frames of an mp3, counted: the number in its Xing frame may be wrong, and files may be joined.

Source: ISO/IEC 11172-3 and 13818-3 (frame headers), the Xing, Info and VBRI frames as LAME and mpg123 read them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["SEARCHED", "Info", "Run", "behind_tags", "info_of", "is_adts", "next_frame", "runs"]

SEARCHED = 1 << 16  # bytes in which the first frame is looked for
PROOF = 3  # consecutive frames that rule out a coincidence
KBPS_1 = {  # MPEG 1, by layer
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
KBPS_2 = {  # MPEG 2 and 2.5
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
KBPS_2[3] = KBPS_2[2]
RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1


@dataclass(frozen=True)
class Header:
    """A frame's header: its length in bytes, and what the frames of one stream share."""

    length: int
    samples: int
    rate: int
    mono: bool
    layer: int
    low: bool  # MPEG 2 or 2.5

    @property
    def stream(self) -> tuple[int, bool, int]:
        return self.rate, self.mono, self.layer


@dataclass
class Run:
    """Frames that follow each other without a gap; bytes from `start` to `end` of the file."""

    start: int
    end: int
    first: Header
    frames: int = 0

    @property
    def seconds(self) -> float:
        return self.frames * self.first.samples / self.first.rate


@dataclass(frozen=True)
class Info:
    """A Xing, Info or VBRI frame: where its counts of frames and bytes are (None: left out), and the former."""

    frames_at: int | None
    bytes_at: int | None
    frames: int


def header_of(word: bytes) -> Header | None:
    """The four bytes of a frame's header, or None for other bytes (and for the free format)."""
    if len(word) < 4 or word[0] != 0xFF or word[1] < 0xE0:
        return None
    version, layer = word[1] >> 3 & 3, 4 - (word[1] >> 1 & 3)  # version 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    kbps_at, rate_at = word[2] >> 4, word[2] >> 2 & 3
    if version == 1 or layer == 4 or kbps_at in (0, 15) or rate_at == 3:
        return None
    low = version != 3
    rate = RATES[rate_at] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * (KBPS_2 if low else KBPS_1)[layer][kbps_at]
    padding = word[2] >> 1 & 1
    if layer == 1:
        return Header((12 * bits // rate + padding) * 4, 384, rate, word[3] >> 6 == 3, layer, low)
    samples = 576 if layer == 3 and low else 1152
    return Header(samples // 8 * bits // rate + padding, samples, rate, word[3] >> 6 == 3, layer, low)


def behind_tags(file: BinaryIO, at: int, size: int) -> int:
    """The first byte after the ID3, APE and ID3v1 tags that begin at `at` and end within the file."""
    while True:
        file.seek(at)
        head = file.read(16)
        length = 0
        if head[:3] == b"ID3" and len(head) >= 10:
            length = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        elif head[:3] == b"TAG":
            length = 128
        elif head[:8] == b"APETAGEX" and len(head) == 16:
            length = 32 + int.from_bytes(head[12:16], "little")
        if length == 0 or at + length > size:
            return at
        at += length


def next_frame(file: BinaryIO, at: int, size: int) -> int | None:
    """The place of the next frame, from `at` on, that is followed by frames of the same stream or by the end."""
    while at < size - 3:
        file.seek(at)
        chunk = file.read(SEARCHED)
        found = chunk.find(b"\xff")
        while 0 <= found < len(chunk) - 1:
            if chunk[found + 1] >= 0xE0 and _is_frame(file, at + found, size):
                return at + found
            found = chunk.find(b"\xff", found + 1)
        if len(chunk) < 2:
            return None
        at += len(chunk) - 1
    return None


def runs(file: BinaryIO, size: int) -> list[Run]:
    """All frames of a file: a run ends at a gap, at a change of rate or channels, and before a second Xing frame."""
    found: list[Run] = []
    at: int | None = behind_tags(file, 0, size)
    run: Run | None = None
    while at is not None and at < size:
        file.seek(at)
        word = file.read(4)
        header = header_of(word)
        if header is None or at + header.length > size:
            run = None
            behind = behind_tags(file, at, size)
            at = behind if behind > at else next_frame(file, at + 1, size)
            continue
        if run is None or header.stream != run.first.stream or info_of(file, at, header) is not None:
            run = Run(at, at, header)
            found.append(run)
        run.frames += 1
        at = run.end = at + header.length
    return found


def info_of(file: BinaryIO, at: int, header: Header) -> Info | None:
    """What the Xing, Info or VBRI frame at `at` counts, or None for a frame with sound."""
    if header.layer != 3:
        return None
    side = {(False, False): 32, (False, True): 17, (True, False): 17, (True, True): 9}[header.low, header.mono]
    file.seek(at)
    frame = file.read(min(header.length, 64))
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return Info(at + 50, at + 46, int.from_bytes(frame[50:54], "big"))
    tag = 4 + side
    if frame[tag : tag + 4] not in (b"Xing", b"Info") or len(frame) < tag + 16:
        return None
    flags, frames = struct.unpack_from(">II", frame, tag + 4)
    if not flags & 1:
        return Info(None, None, 0)
    return Info(at + tag + 8, at + tag + 12 if flags & 2 else None, frames)


def is_adts(file: BinaryIO, at: int, size: int) -> bool:
    """Whether aac frames begin at `at`: two of them, or one that fills the file."""
    for _ in range(2):
        file.seek(at)
        head = file.read(7)
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return False
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        at += length
        if length < 7 or at > size:
            return False
        if at == size:
            break
    return True


def _is_frame(file: BinaryIO, at: int, size: int) -> bool:
    """Whether a few frames of one stream follow each other from `at` on, up to the end if that comes first."""
    stream = None
    for _ in range(PROOF):
        file.seek(at)
        header = header_of(file.read(4))
        if header is None or stream not in (None, header.stream):
            return False
        stream = header.stream
        at += header.length
        if at >= size:
            return at == size
    return True
