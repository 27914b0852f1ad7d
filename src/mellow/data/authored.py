"""Question-answer pairs that people wrote by hand about captioned clips, read into records.

A folder of .tsv files with the columns caption, file, kind, focus, question, answer and wrong. The caption is known by
the first 16 digits of its sha256, so that a table of captions is needed only to see what a pair was written about.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from mellow.data.records import Record, Split
from mellow.errors import DataError

__all__ = ["FOCI", "caption_hash", "read_authored"]

COLUMNS = ["caption", "file", "kind", "focus", "question", "answer", "wrong"]
FOCI = ("event", "object", "scene", "signal", "semantics", "listener")  # the paper's six, section 2.1
KINDS = ("mcq", "detail")
WRONG = 3  # wrong options of a multiple-choice pair
SUBTYPES = {"mcq": "Authored-MCQ.json", "detail": "Authored-Detail.json"}


def caption_hash(caption: str) -> str:
    """What a caption is known by: 16 hexadecimal digits."""
    return hashlib.sha256(caption.encode()).hexdigest()[:16]


def read_authored(
    folder: str | Path, *, source: str = "clotho", split: Split = "train", licence: str = "Apache-2.0"
) -> Iterator[Record]:
    """The pairs of a folder, file by file. The order of options follows from the pair alone and favours no letter.

    Raises DataError naming the file and line of a row that is not complete.
    """
    paths = sorted(Path(folder).glob("*.tsv"))
    if not paths:
        raise DataError(f"There are no .tsv files of authored pairs in {folder}.")
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if rows.fieldnames != COLUMNS:
                raise DataError(f"{path} has the columns {rows.fieldnames}; an authored file has {', '.join(COLUMNS)}.")
            for number, row in enumerate(rows, start=2):
                yield _record(row, f"{path}, line {number}", source, split, licence)


def _record(row: dict[str, str], where: str, source: str, split: Split, licence: str) -> Record:
    if any(row.get(name) is None for name in COLUMNS) or not all(row[name] for name in COLUMNS[:-1]):
        raise DataError(f"{where}: one of the columns {', '.join(COLUMNS[:-1])} is empty.")
    if row["kind"] not in KINDS or row["focus"] not in FOCI:
        raise DataError(f"{where}: the kind is {' or '.join(KINDS)}, and the focus one of {', '.join(FOCI)}.")
    wrong = [option.strip() for option in row["wrong"].split("|")] if row["wrong"] else []
    if len(wrong) != (WRONG if row["kind"] == "mcq" else 0) or not all(wrong):
        raise DataError(f"{where}: a multiple-choice pair has {WRONG} wrong options, and a detailed one has none.")
    choices = [row["answer"], *wrong] if wrong else []
    if len({option.lower() for option in choices}) != len(choices):
        raise DataError(f"{where}: two of the options are equal.")
    random.Random(f"{row['caption']}|{row['question']}").shuffle(choices)
    return Record(
        row["question"],
        row["answer"],
        (row["file"],),
        choices=tuple(choices),
        task="mcq" if wrong else "detail",
        subtype=SUBTYPES[row["kind"]],
        source=source,
        split=split,
        licence=licence,
        provenance={"author": "Mellow", "caption_hash": row["caption"], "focus": row["focus"]},
    )
