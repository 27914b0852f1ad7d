"""Objects of a JSON list of any length, one by one, in constant memory and with the line that each begins in."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mellow.data.json_line import json_value
from mellow.data.sources.text_file import decoded_lines, open_bytes
from mellow.errors import DataError

__all__ = ["json_objects", "jsonl_objects"]

BLOCK = 1 << 18  # bytes read at once
LARGEST = 1 << 24  # characters of one object
BLANK = re.compile(r"[ \t\r\n]*")
BEHIND = tuple(" \t\r\n,]}")
SURROGATE = re.compile("[\ud800-\udfff]")
DECODER = json.JSONDecoder()


def json_objects(path: str | Path, *, key: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and object of each item of a JSON list; with a key, of the list that this key of the top object holds.

    Raises DataError naming file and line: not JSON, cut off, not a list of objects.
    """
    with open_bytes(path) as file:
        yield from _Reader(path, file).items(key)


def jsonl_objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank."""
    for number, line in enumerate(decoded_lines(path), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield number, _checked(json_value(line, where=where), where)


def _checked(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise DataError(f"{where}: not an object with named fields.")
    for name, value in item.items():
        if isinstance(value, str) and not value.isascii() and SURROGATE.search(value):
            raise DataError(f"{where}: the field {name!r} holds half a character (a lone \\ud... escape).")
    return item


class _Reader:
    """A window on the text of a JSON file that moves on as values are read."""

    def __init__(self, path: str | Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.decode = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.place = 0  # in the text
        self.line = 1  # of that place
        self.ended = False

    def items(self, key: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
        if key is not None:
            self._enter(key)
        self._expect("[", "a list of objects" if key is None else f"a list behind {key!r}")
        mark = self._peek()
        while mark != "]":
            line = self.line
            yield line, _checked(self._value(), f"{self.path}, line {line}")
            mark = self._peek()
            if mark == ",":
                self._expect(",", "a comma")
                mark = self._peek()
                if mark == "]":
                    raise self._error("an object is missing behind the comma")
            elif mark != "]":
                raise self._error("a comma or ']' is missing", cut=not mark)
        self._expect("]", "the end of the list")
        self._leave(key)

    def _enter(self, key: str) -> None:
        """Move to the value of a key of the object that the file is."""
        self._expect("{", f"an object with the key {key!r}")
        while True:
            if self._peek() != '"':
                raise self._error(f"the key {key!r} is missing")
            name = self._value()
            self._expect(":", "a colon")
            if name == key:
                return
            self._value()
            if self._peek() == ",":
                self._expect(",", "a comma")

    def _leave(self, key: str | None) -> None:
        """Read what may stand behind the list: other keys, and nothing else."""
        while key is not None and self._peek() == ",":
            self._expect(",", "a comma")
            self._value()
            self._expect(":", "a colon")
            self._value()
        if key is not None:
            self._expect("}", "the end of the object")
        if self._peek():
            raise self._error("more text behind the end of the list")

    def _peek(self) -> str:
        """The next character that is no blank, or nothing at the end of the file."""
        while True:
            end = BLANK.match(self.text, self.place).end()  # type: ignore[union-attr]
            self._move(end)
            if end < len(self.text) or not self._read_on():
                return self.text[end : end + 1]

    def _expect(self, mark: str, what: str) -> None:
        found = self._peek()
        if found != mark:
            raise self._error(f"{what} was expected", cut=not found)
        self._move(self.place + 1)

    def _value(self) -> Any:
        """The next JSON value; more of the file is read until it is whole."""
        self._peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.place)
            except RecursionError:
                raise self._error("too many brackets inside each other") from None
            except ValueError as error:
                if len(self.text) - self.place > LARGEST:
                    raise self._error(f"no object ends within {LARGEST >> 20} Mi characters") from None
                at = getattr(error, "pos", self.place) - self.place
                if not self._read_on(len(self.text) - self.place):
                    self._move(min(self.place + at, len(self.text)))
                    raise self._not_json(getattr(error, "msg", str(error))) from None
            else:
                whole = isinstance(value, (str, list, dict)) or self.text[end : end + 1] in BEHIND
                if (end < len(self.text) and whole) or not self._read_on():  # a number may go on in the next block
                    self._move(end)
                    return value

    def _not_json(self, message: str) -> DataError:
        return self._error(f"not JSON ({message})", cut=not self._peek() or message.startswith("Unterminated string"))

    def _move(self, place: int) -> None:
        self.line += self.text.count("\n", self.place, place)
        self.place = place

    def _read_on(self, least: int = 0) -> bool:
        """Append at least a block, and as much as is there unread, so that a long value is not parsed over and over."""
        block = b"" if self.ended else self.file.read(max(BLOCK, least))
        try:
            more = self.decode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = self.line + self.text.count("\n", self.place) + block.count(b"\n", 0, error.start)
            raise DataError(f"{self.path}, line {line}: not UTF-8 text; JSON must be saved as UTF-8.") from None
        self.ended = not block
        self.text = self.text[self.place :] + more
        self.place = 0
        return bool(block)

    def _error(self, what: str, *, cut: bool = False) -> DataError:
        where = f"{self.path}, line {self.line}"
        if self.text.startswith("version https://git-lfs"):
            return DataError(f"{self.path} is a Git LFS pointer, not the data; run `git lfs pull` where it was cloned.")
        if cut:
            return DataError(f"{where}: the file ends in the middle of its list; download it again.")
        return DataError(f"{where}: {what}.")
