"""Text files of published data sets, read line by line: plain or gzip, of one encoding, every fault with its line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mellow.errors import DataError

__all__ = ["UTF8", "Unique", "decoded_lines", "open_bytes"]

UTF8 = "utf-8-sig"
LONGEST = 1 << 24  # bytes of a line
LFS = b"version https://git-lfs"


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """A file, unpacked where its name ends in `.gz`; DataError where it is absent, unreadable or damaged."""
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            yield cast(BinaryIO, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); download it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def decoded_lines(path: str | Path, encoding: str = UTF8) -> Iterator[str]:
    """The lines of a text file with their line ends; DataError names the line that is not of the encoding."""
    if not _has_plain_line_ends(encoding):
        raise DataError(f"The encoding {encoding!r} cannot be read line by line; use utf-8, latin-1 or cp1252.")
    with open_bytes(path) as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if number == 1:
                _check_beginning(path, line)
            if len(line) > LONGEST:
                raise DataError(f"{path}, line {number}: longer than {LONGEST >> 20} MiB, so this is no table.")
            try:
                text = line.decode("utf-8" if encoding == UTF8 and number > 1 else encoding)
            except UnicodeDecodeError as error:
                byte = line[error.start]
                hint = f"save the file as UTF-8 or name its encoding (0x{byte:02x} is {chr(byte)!r} in latin-1)"
                raise DataError(f"{path}, line {number}: not {encoding.removesuffix('-sig')} text; {hint}.") from None
            yield text


def _has_plain_line_ends(encoding: str) -> bool:
    try:
        return "\n".encode(encoding) == b"\n" or encoding.replace("_", "-").lower() == UTF8
    except LookupError:
        return False


def _check_beginning(path: str | Path, line: bytes) -> None:
    """Refuse what is often found in the place of a table."""
    if line.startswith(LFS):
        raise DataError(f"{path} is a Git LFS pointer, not the data; run `git lfs pull` where it was cloned.")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16 text; save it as UTF-8.")
    if line.startswith(b"\x1f\x8b"):
        raise DataError(f"{path} is gzip data; rename it so that it ends in '.gz'.")
    if line.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise DataError(f"{path} is a web page, not the data; download the file itself.")


class Unique:
    """Refuses a value that was there before, naming both lines."""

    def __init__(self, path: str | Path, what: str) -> None:
        self.path = path
        self.what = what
        self.lines: dict[str, int] = {}

    def check(self, value: str, line: int) -> None:
        first = self.lines.setdefault(value, line)
        if first != line:
            raise DataError(
                f"{self.path}, line {line}: the {self.what} {value!r} is in line {first} already; remove one of them."
            )
