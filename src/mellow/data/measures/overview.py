"""What a data set holds: rows, clips, questions and words per family; and the numbers that nobody measured."""

from __future__ import annotations

from collections import Counter, defaultdict

from mellow.data.filters.numbers import uncarried
from mellow.data.measures.base import EXAMPLES, clip_name, family_of, share
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.tally import Tally, key_of
from mellow.data.wording import stem_of, words

__all__ = ["Numbers", "Overview"]


class Overview:
    """Rows, splits, distinct clips and questions, and lengths: what appendix D compares."""

    def __init__(self) -> None:
        self._splits: dict[str, Counter[str]] = defaultdict(Counter)
        self._words: dict[str, Counter[str]] = defaultdict(Counter)
        self._clips: dict[str, Tally] = defaultdict(Tally)
        self._questions: dict[str, Tally] = defaultdict(Tally)

    def observe(self, record: Record) -> None:
        family, stem = family_of(record), stem_of(record)
        self._splits[family][record.split] += 1
        self._words[family]["question"] += len(words(stem))
        self._words[family]["answer"] += len(words(record.answer))
        for clip in record.audio:
            self._clips[family].add(key_of(clip_name(clip)))
        self._questions[family].add(key_of(stem))

    def sections(self) -> list[Section]:
        rows = {}
        for family, splits in sorted(self._splits.items()):
            count, clips = splits.total(), len(self._clips[family])
            rows[family] = {
                "rows": count,
                **{split: splits[split] for split in ("train", "val", "test")},
                "clips": clips,
                "rows per clip": round(count / clips, 2) if clips else 0.0,
                "distinct questions": share(len(self._questions[family]), count),
                "words per question": round(self._words[family]["question"] / count, 2),
                "words per answer": round(self._words[family]["answer"] / count, 2),
            }
        note = "Questions without their options. Clips are told apart by the names of their files."
        return [Section("overview", "What it holds", rows, frozenset({"distinct questions"}), note)]


class Numbers:
    """Answers that state hertz, decibels or seconds that no caption carries (Table 13)."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._units: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: list[str] = []

    def observe(self, record: Record) -> None:
        family = family_of(record)
        self._rows[family] += 1
        if found := uncarried(record):
            self._units[family].update({quantity.unit for quantity in found} | {"any"})
            if len(self._examples) < EXAMPLES:
                self._examples.append(f"{family}: {found[0].text} in an answer about {' / '.join(record.captions)!r}")

    def sections(self) -> list[Section]:
        rows = {
            family: {
                "rows": count,
                **{unit: self._units[family][unit] for unit in ("Hz", "dB", "s")},
                "share": share(self._units[family]["any"], count),
            }
            for family, count in sorted(self._rows.items())
        }
        note = "Rows whose answer states a frequency, a level or a time that stands in no caption."
        title = "Numbers without a source"
        return [Section("numbers", title, rows, frozenset({"share"}), note, tuple(self._examples))]
