"""CLD and ACD: what differs between two clips, in three tiers: in few words, in a sentence, in detail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mellow.data.records import Record, Split
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.published import FIELDS, TIERS, from_published
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.data.sources.text_file import UTF8
from mellow.errors import DataError

__all__ = ["read"]

SETS = {"audiocaps": "ACD", "clothov21": "CLD"}


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
) -> Iterator[Record]:
    """A record of each row; its question is the special input, of which training draws a paraphrase.

    The input says the tier; both of tier 2 are known: "in a sentence" and "in one extended sentence".
    """
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    licence = spec("difference").licence
    for line, number, row in csv_rows(path, FIELDS[:-1], encoding=encoding):
        where = f"{path}, line {line}"
        report.rows += 1
        tier = TIERS.get(row["input"].strip().rstrip(".").lower())
        if tier is None:
            known = ", ".join(repr(text) for text in TIERS)
            raise DataError(f"{where}: the input {row['input']!r} names no tier; use {known}.")
        if row["taskname"] not in SETS:
            raise DataError(f"{where}: the taskname {row['taskname']!r} is unknown; use {' or '.join(SETS)}.")
        if not row["answer"].strip():
            report.left_out["empty answer"] += 1
            continue
        if row["filepath1"] == row["filepath2"]:
            report.noted["clip compared with itself"] += 1
        published = {name: row[name] for name in FIELDS[:-1]} | {"subtype": f"{SETS[row['taskname']]}-{tier}.json"}
        provenance: dict[str, str | int] = {"file": Path(path).name, "row": number}
        record = from_published(published, split=split, where=where, licence=licence, provenance=provenance)
        yield from deliver(record, audio, report)
