"""The published ReasonAQA: train.json, val.json and test.json, lists of up to a million rows, read in a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mellow.data.records import Record, Split
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.json_file import json_objects
from mellow.data.sources.published import FIELDS, from_published, to_published
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.errors import DataError
from mellow.files import replace_file

__all__ = ["read", "write"]


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    keep_empty: bool = False,
) -> Iterator[Record]:
    """A record of each row; multiple-choice answers without their letters, paths with forward slashes.

    keep_empty: whether rows without a question or an answer are yielded, too, so that `write` gives the same rows.
    """
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    licence = spec("reasonaqa").licence
    for number, (line, item) in enumerate(json_objects(path), start=1):
        where = f"{path}, line {line}"
        report.rows += 1
        provenance: dict[str, str | int] = {"file": Path(path).name, "row": number}
        record = from_published(_texts(item, where), split=split, where=where, licence=licence, provenance=provenance)
        empty = next((name for name in ("question", "answer") if not getattr(record, name).strip()), None)
        if empty and not keep_empty:
            report.left_out[f"empty {empty}"] += 1
            continue
        if empty:
            report.noted[f"empty {empty}"] += 1
        if record.task in ("mcq", "entailment") and not record.choices:
            report.noted["answer is none of the options"] += 1
        if not record.audio:
            report.noted["no clip named"] += 1
        yield from deliver(record, audio, report)


def _texts(item: dict[str, Any], where: str) -> dict[str, str]:
    for name in FIELDS:
        if not isinstance(item.get(name), str):
            what = "is not a text" if name in item else "is missing"
            raise DataError(f"{where}: the field {name!r} {what}; a row has {', '.join(FIELDS)}.")
    other = next((name for name, value in item.items() if not isinstance(value, str)), None)
    if other is not None:
        raise DataError(f"{where}: the field {other!r} is not a text.")
    return item


def write(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as the published JSON, a row a line, whole or not at all; returns how many."""
    count = 0
    with replace_file(path) as file:
        for record in records:
            file.write((",\n" if count else "[\n") + json.dumps(to_published(record), ensure_ascii=False))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count
