"""Paths, bytes and file objects as open binary files of a known size."""

from __future__ import annotations

import io
import operator
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from mellow.errors import AudioError

__all__ = ["READABLE", "opened", "reason"]

READABLE = "a wav, flac, ogg, opus, mp3 or aiff file"
READ_AHEAD = 1 << 16  # bytes
LONGEST_REASON = 200  # characters


@contextmanager
def opened(source: object, name: str | None) -> Iterator[tuple[BinaryIO, int, str]]:
    """A source as an open binary file, its size in bytes, and its name."""
    if isinstance(source, (str, os.PathLike)):
        path = _path(source)
        name = name or path
        size = _file_size(path, name)
        try:
            file = open(path, "rb")  # noqa: SIM115  # closed below
        except OSError as error:
            raise AudioError(f"{name!r} cannot be opened ({reason(error)}); check its permissions.") from error
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
    """A user's file object as one whose only exception is AudioError. The user's object is not closed."""

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
            raise AudioError(f"{self._name!r} cannot be read ({reason(error)}); give its bytes instead.") from error
        if len(data) == 0:
            raise AudioError(f"{self._name!r} ended at byte {self._at:,} of {self._size:,}; give its bytes instead.")
        self._at += len(data)
        return len(data)


def _path(source: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(source)
    except Exception as error:  # a user's __fspath__ may raise anything
        raise AudioError(
            f"A path of type {type(source).__name__} cannot be used ({reason(error)}); give a str."
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
        raise AudioError(f"{name!r} cannot be opened ({reason(error)}); check the path.") from error
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


def reason(error: Exception) -> str:
    """The cause in an exception's own words, for the middle of a sentence."""
    text = getattr(error, "error_string", None)  # libsndfile's
    if text is None:
        text = getattr(error, "strerror", None)
    if text is None:
        text = str(error) or type(error).__name__
    return " ".join(str(text).removeprefix("Error : ").split())[:LONGEST_REASON].rstrip(". ")
