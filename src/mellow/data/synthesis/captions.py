"""Reading captions to write questions about: JSONL or CSV, of our own or of anybody's making."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mellow.data.json_line import json_object
from mellow.data.records import CaptionedClip, Split
from mellow.errors import DataError

__all__ = ["Caption", "captions_of", "read_captions"]

FILE_NAMES = ("audio", "file_name", "filename", "file", "path")
LONGEST = 4000  # characters: a caption, not a book, whose cost would surprise


@dataclass(frozen=True)
class Caption:
    """What somebody wrote about a clip; audio: its path below the data set's root, or empty where it is not known."""

    text: str
    audio: str = ""
    source: str = ""
    split: Split = "train"
    licence: str = ""


def captions_of(clip: CaptionedClip) -> Iterator[Caption]:
    """Every caption of a clip on its own, as language models are asked about them."""
    for text in clip.captions:
        yield Caption(text, clip.audio, clip.source, clip.split, clip.licence)


def read_captions(path: str | Path) -> Iterator[Caption]:
    """The captions of a .jsonl or .csv file, one by one; DataError names the line and what is wrong with it.

    A row has `caption`, or `captions` with a list of them (JSONL), and may have the clip's file name (`audio`,
    `file_name`, `filename`, `file` or `path`), `source`, `split` and `licence`; other fields are left alone.
    """
    path = Path(path)
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise DataError(f"The captions {path} must be a .jsonl or .csv file.")
    try:
        rows = _jsonl(path) if path.suffix.lower() == ".jsonl" else _csv(path)
        for where, row in rows:
            yield from _captions(row, where)
    except OSError as error:
        raise DataError(f"The captions {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8.") from None


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                yield where, json_object(line, where=where, needs="a row has at least the field caption")


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            columns = list(rows.fieldnames or ())
            if "caption" not in columns:
                found = ", ".join(columns) or "nothing"
                raise DataError(
                    f"{path} has no column caption, but {found}; rename the column that holds the captions."
                )
            for row in rows:
                if None in row or None in row.values():
                    raise DataError(f"{path}, line {rows.line_num}: not {len(columns)} columns; quote the caption.")
                yield f"{path}, line {rows.line_num}", row
        except csv.Error as error:
            raise DataError(f"{path}, after line {rows.line_num}: not CSV ({error}).") from None


def _captions(row: Mapping[str, Any], where: str) -> Iterator[Caption]:
    texts = row["captions"] if "captions" in row else [row.get("caption")]
    if not isinstance(texts, list):
        raise DataError(f"{where}: the field 'captions' is not a list.")
    audio = next((row[name] for name in FILE_NAMES if row.get(name)), "")
    rest = {"audio": audio, **{name: row.get(name) or "" for name in ("source", "licence")}}
    split: Any = row.get("split") or "train"
    for name, value in rest.items():
        if not isinstance(value, str):
            raise DataError(f"{where}: the field {name!r} is not a string.")
    if split not in get_args(Split):
        raise DataError(f"{where}: the split {split!r} is unknown; use {', '.join(get_args(Split))}.")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: the caption is missing or empty; write one or remove the row.")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"{where}: the caption has characters that are no text (lone surrogates).")
        if len(text) > LONGEST:
            raise DataError(f"{where}: the caption has {len(text)} characters; at most {LONGEST} are sent.")
        yield Caption(text, audio.replace("\\", "/"), rest["source"], split, rest["licence"])
