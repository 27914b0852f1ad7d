"""The sources that we read, what their published tables hold, and Table 1 of the paper: facts from data files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mellow.data.records import Split
from mellow.errors import DataError

__all__ = [
    "SPLIT_WORDS",
    "PaperCount",
    "SourceSpec",
    "TableSpec",
    "paper_counts",
    "paper_hours",
    "sources",
    "spec",
    "split_of",
]

SPLIT_WORDS: dict[str, Split] = {"train": "train", "training": "train", "development": "train", "dev": "train"}
SPLIT_WORDS |= {"val": "val", "valid": "val", "validation": "val"}
SPLIT_WORDS |= {"test": "test", "testing": "test", "evaluation": "test", "eval": "test"}


@dataclass(frozen=True)
class TableSpec:
    """A published table.

    match: endings of paths by which it is known on disk, in small letters; the file name where none are given.
    rows, clips: how many it holds; kept: records that are made of it; None where we have not counted them.
    misnamed: clips whose names are not those of the files, so that the paper counts without their rows.
    """

    file: str
    split: Split
    match: tuple[str, ...] = ()
    rows: int | None = None
    clips: int | None = None
    kept: int | None = None
    misnamed: tuple[str, ...] = ()
    sha256: str = ""

    def matches(self, path: str) -> bool:
        """Whether this is the table, by the path's ending; a copy packed with gzip counts."""
        path = "/" + path.lower().removesuffix(".gz").replace("\\", "/").lstrip("/")
        return any(path.endswith(f"/{ending}") for ending in self.match or (self.file.lower(),))


@dataclass(frozen=True)
class SourceSpec:
    """A source: what it gives, where it is published, under which licence, and the tables and audio that it needs."""

    name: str
    title: str
    gives: str
    published: str
    licence: str
    audio: str
    tables: tuple[TableSpec, ...]
    reader: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperCount:
    """A row of Table 1: pairs, clips and percentages per split, and why published files differ where they do."""

    name: str
    pairs: Mapping[str, int]
    files: tuple[str, ...]
    clips: Mapping[str, int] = field(default_factory=dict)
    percent: Mapping[str, float] = field(default_factory=dict)
    captions_per_clip: Mapping[str, int] = field(default_factory=dict)
    file_pairs: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(files("mellow.data.sources").joinpath(name).read_text(encoding="utf-8"))


def _table(row: dict[str, Any]) -> TableSpec:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return TableSpec(**fields)


@cache
def sources() -> dict[str, SourceSpec]:
    """All sources by name, in the order in which they are listed."""
    found = {}
    for row in _load("sources.toml")["source"]:
        tables = tuple(map(_table, row.pop("tables")))
        reader, notes = row.pop("reader", row["name"]), tuple(row.pop("notes", ()))
        found[row["name"]] = SourceSpec(**row, tables=tables, reader=reader, notes=notes)
    return found


def spec(name: str) -> SourceSpec:
    """One source; DataError for a name that is unknown."""
    if name not in sources():
        raise DataError(f"The source {name!r} is unknown; use {', '.join(sources())}.")
    return sources()[name]


@cache
def paper_counts() -> dict[str, PaperCount]:
    """The rows of Table 1 by name: published files, `CLD` and `ACD` of all three tiers, and `total`."""
    found = {}
    for name, row in _load("table1.toml")["pairs"].items():
        pairs = {split: row[split] for split in ("train", "val", "test") if split in row}
        of_file = tuple(row.get("files", [name] if name.endswith(".json") else []))
        rest = {key: row[key] for key in ("clips", "percent", "captions_per_clip", "reason") if key in row}
        found[name] = PaperCount(name, pairs, of_file, file_pairs=row.get("file", {}), **rest)
    return found


def paper_hours() -> dict[str, Any]:
    """What the paper says of hours and clips: they do not agree, so a report counts both ways."""
    return dict(_load("table1.toml")["hours"])


def split_of(path: str | Path) -> Split:
    """The split that a file's name tells; DataError where it tells none or two."""
    words = re.split(r"[^a-z0-9]+", Path(path).name.lower())
    found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    if len(found) != 1:
        raise DataError(f"The name of {path} does not tell its split; say whether it is train, val or test.")
    return found.pop()
