"""Rows of CSV and TSV tables with their lines, whatever newlines and quotes their fields hold."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mellow.data.sources.text_file import UTF8, decoded_lines
from mellow.errors import DataError

__all__ = ["Row", "csv_rows"]


class Row(NamedTuple):
    """A row of a table: the line that it begins in, its number (the first below the header is 1), and its fields."""

    line: int
    number: int
    fields: dict[str, str]


def csv_rows(path: str | Path, columns: Sequence[str], *, encoding: str = UTF8) -> Iterator[Row]:
    """The rows one by one, parted by tabs where the name ends in `.tsv`, else by commas; other columns may be there.

    Raises DataError naming file and line: a column of `columns` is missing, a row has too few or too many fields, a
    quoted field is not closed, the encoding is another.
    """
    tabs = str(path).removesuffix(".gz").endswith(".tsv")
    reader = csv.reader(decoded_lines(path, encoding), strict=True, delimiter="\t" if tabs else ",")
    header = next(_fields(path, reader), None)
    if header is None:
        raise DataError(f"{path} is empty; download it again.")
    names = _header(path, header[1], columns)
    for number, (line, values) in enumerate(_fields(path, reader), start=1):
        if len(values) != len(names):
            raise DataError(f"{path}, line {line}: {len(values)} fields, but the header has {len(names)}.")
        yield Row(line, number, dict(zip(names, values, strict=True)))


def _fields(path: str | Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of every row that is not blank."""
    end = reader.line_num  # type: ignore[attr-defined]
    while True:
        line = end + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unclosed = "unexpected end" in str(error) or "field limit" in str(error)
            what = "a quoted field that begins here is not closed" if unclosed else f"not a row of a table ({error})"
            raise DataError(f"{path}, line {line}: {what}.") from None
        end = reader.line_num  # type: ignore[attr-defined]
        if values:
            yield line, values


def _header(path: str | Path, names: list[str], columns: Sequence[str]) -> list[str]:
    names = [name.strip() for name in names]
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(f"{path}, line 1: the column {missing[0]!r} is missing; found {', '.join(map(repr, names))}.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}, line 1: the column {twice[0]!r} is there twice; rename one of them.")
    return names
