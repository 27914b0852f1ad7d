"""A table of captions or of questions of one's own: CSV, TSV, JSONL or a JSON list, its columns named by the caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mellow.data.records import CaptionedClip, Record, Split
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.columns import Columns, to_item
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.json_file import json_objects, jsonl_objects
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.text_file import UTF8, Unique
from mellow.errors import DataError

__all__ = ["read"]


def read(
    path: str | Path,
    *,
    columns: Columns,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
) -> Iterator[CaptionedClip | Record]:
    """Captioned clips, or records where the columns name a question; of the split train where nothing tells another."""
    report = report if report is not None else SourceReport()
    unique = Unique(path, columns.id)
    for line, number, row in _rows(path, columns, encoding):
        where = f"{path}, line {line}"
        report.rows += 1
        if columns.id:
            unique.check(str(row[columns.id]), line)
        provenance: dict[str, str | int] = {"file": Path(path).name, "row": number}
        item = to_item(row, columns, split=split or "train", where=where, provenance=provenance, report=report)
        if item is not None:
            yield from deliver(item, audio, report)


def _rows(path: str | Path, columns: Columns, encoding: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Line, number and fields of each row, by the ending of the file's name."""
    ending = Path(str(path).removesuffix(".gz")).suffix.lower()
    if ending in (".csv", ".tsv"):
        yield from csv_rows(path, columns.names, encoding=encoding)
        return
    if ending not in (".json", ".jsonl"):
        raise DataError(f"{path} is no table that can be read; its name must end in .csv, .tsv, .jsonl or .json.")
    objects = jsonl_objects(path) if ending == ".jsonl" else json_objects(path)
    for number, (line, item) in enumerate(objects, start=1):
        missing = next((name for name in columns.names if name not in item), None)
        if missing is not None:
            found = ", ".join(repr(name) for name in item) or "nothing"
            raise DataError(f"{path}, line {line}: the field {missing!r} is missing; found {found}.")
        yield line, number, item
