"""What all measures have in common."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from mellow.data.records import Record
from mellow.data.section import Section

__all__ = ["EXAMPLES", "Measure", "clip_name", "family_of", "share"]

EXAMPLES = 5  # of a section


class Measure(Protocol):
    """Looks at every record, then tells what it saw; its memory does not grow with the rows but by a few bytes each."""

    def observe(self, record: Record) -> None: ...

    def sections(self) -> list[Section]: ...


def family_of(record: Record) -> str:
    """The rows that are counted together: by their published file where it is known, else by their task."""
    return record.subtype.removesuffix(".json") or record.task


def clip_name(path: str) -> str:
    """What names a recording wherever it lies: `AudioCaps/test/YabC.wav` as `YabC`."""
    path = PurePosixPath(path.replace("\\", "/")).name
    stem, dot, ending = path.rpartition(".")
    return stem if dot and stem and 2 <= len(ending) <= 4 and ending.isalnum() else path


def share(part: float, whole: float) -> float:
    """A part of a whole, 0 of nothing, to four decimals."""
    return round(part / whole, 4) if whole else 0.0
