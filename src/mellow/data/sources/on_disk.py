"""What of the sources lies below a folder: which tables, with how many rows, and how much of their audio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mellow.data.sources import READERS
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.report import SourceReport
from mellow.data.sources.spec import SourceSpec, TableSpec, sources
from mellow.errors import DataError
from mellow.files import sha256
from mellow.progress import Progress, silent, tracked

__all__ = ["FoundTable", "find_tables", "table_files"]


@dataclass
class FoundTable:
    """A published table that lies below the folder.

    published: whether its checksum is that of the published file, or None where we know none (or a packed copy).
    error: why it could not be read to its end, or nothing.
    """

    source: SourceSpec
    table: TableSpec
    path: Path
    report: SourceReport = field(default_factory=SourceReport)
    published: bool | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        counts = self.report.to_dict()
        return {
            "path": str(self.path), "split": self.table.split, "rows_expected": self.table.rows, **counts,
            "clips": len(self.report.present | self.report.absent), "as_published": self.published, "error": self.error,
        }  # fmt: skip


def find_tables(root: str | Path, *, progress: Progress = silent) -> list[FoundTable]:
    """Every known table below the folder, read to its end; clips are looked for in the same folder.

    A table that is broken is listed with its error. Raises DataError where the folder is not there.
    """
    audio = AudioRoot(root)
    found = [FoundTable(*one) for one in table_files(root)]
    for one in tracked(found, "Reading tables", progress):
        if one.table.sha256 and one.path.suffix != ".gz":
            one.published = sha256(one.path) == one.table.sha256
        try:
            for _ in READERS[one.source.reader](one.path, split=one.table.split, audio=audio, report=one.report):
                pass
        except DataError as error:
            one.error = str(error)
    return found


def table_files(root: str | Path) -> Iterator[tuple[SourceSpec, TableSpec, Path]]:
    """The known tables below a folder, in the order of the sources; a path is taken for one table only."""
    paths = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().removesuffix(".gz").endswith((".csv", ".json"))
    )
    taken: set[Path] = set()
    for source in sources().values():
        for table in source.tables:
            for path in paths:
                if path not in taken and table.matches(path.resolve().as_posix()):
                    taken.add(path)
                    yield source, table, path
