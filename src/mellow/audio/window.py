"""Parts of a file as files of their own, with corrected headers. The file itself is never changed."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO

from mellow.errors import AudioError

__all__ = ["Part", "Parts", "Window", "read_at"]


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
    """All parts of a file in order, and warnings about it: ends of sentences that begin with its name."""

    parts: list[Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Window(io.RawIOBase):
    """A part as a file of its own. An exception of the underlying file is kept in `error`: C code cannot pass it on."""

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


def read_at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    """`data` with `new` written over it from `at` on, which may start before its beginning or end after its end."""
    changed = bytearray(data)
    for offset, byte in enumerate(new, start=at):
        if 0 <= offset < len(changed):
            changed[offset] = byte
    return bytes(changed)
