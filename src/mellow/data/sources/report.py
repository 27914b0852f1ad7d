"""What a reader counts while it reads: nothing is left out of a source without a reason and a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mellow.data.records import CaptionedClip, Record
from mellow.data.sources.audio import AudioRoot

__all__ = ["ABSENT", "SourceReport", "deliver"]

Item = TypeVar("Item", bound=CaptionedClip | Record)

ABSENT = "audio absent"
SHORT = 10.0  # seconds of a clip that the paper's models listen to


@dataclass
class SourceReport:
    """Counts of one or more tables, complete once the reader is exhausted.

    rows: rows of the tables; kept: clips or records that were yielded.
    left_out: rows, or clips of them, that were not yielded, by reason; noted: oddities of what was yielded.
    present, absent: different clips, by whether their audio was found; both empty where none was looked for.
    seconds: length of the different clips whose length is known; short_seconds: with at most 10 s of each.
    """

    rows: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    present: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    seconds: float = 0.0
    short_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; hours twice: clips in full, and 10 s of each, as the paper counts."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "left_out": dict(sorted((+self.left_out).items())),
            "noted": dict(sorted((+self.noted).items())),
            "audio_present": len(self.present),
            "audio_absent": len(self.absent),
            "hours": round(self.seconds / 3600, 2),
            "hours_by_10_s": round(self.short_seconds / 3600, 2),
        }

    def add_seconds(self, seconds: float | None) -> None:
        self.seconds += seconds or 0.0
        self.short_seconds += min(seconds or 0.0, SHORT)


def deliver(item: Item, audio: AudioRoot | None, report: SourceReport) -> Iterator[Item]:
    """The clip or record with the paths under which its audio lies on disk, counted; nothing where it is left out.

    Audio that is absent keeps its published path; whether such rows are yielded, the audio root says.
    """
    names = (item.audio,) if isinstance(item, CaptionedClip) else item.audio
    found = [audio.find(name) for name in names] if audio else []
    for name, path in zip(names, found, strict=False):
        known = report.absent if path is None else report.present
        if name not in known:
            known.add(name)
            if audio and path and audio.measure:
                report.add_seconds(audio.seconds(path))
    if None in found and audio and not audio.keep_absent:
        report.left_out[ABSENT] += 1
        return
    report.kept += 1
    paths = tuple(path or name for name, path in zip(names, found, strict=False)) if audio else names
    if isinstance(item, CaptionedClip):
        if not (audio and audio.measure):
            report.add_seconds(item.seconds)
        yield replace(item, audio=paths[0])
    else:
        yield replace(item, audio=paths) if paths != names else item
