"""An audit of any data set: what its filters would reject, what text alone answers, and what its splits share."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

from mellow.data.filters.apply import FilterSettings, in_chunks, number_reason
from mellow.data.filters.base import Counting, Filter
from mellow.data.filters.text_only import TextOnlyFilter
from mellow.data.gate import TextControl
from mellow.data.measures.base import EXAMPLES, Measure, family_of, share
from mellow.data.measures.benchmarks import Benchmarks
from mellow.data.measures.conflicts import Conflicts
from mellow.data.measures.foci import Foci
from mellow.data.measures.leakage import Captions, Names
from mellow.data.measures.overview import Numbers, Overview
from mellow.data.measures.people import People
from mellow.data.measures.places import Places
from mellow.data.measures.recordings import Recordings
from mellow.data.measures.tiers import Tiers
from mellow.data.records import Record
from mellow.data.section import Section, beside, markdown
from mellow.data.tally import key_of
from mellow.errors import DataError
from mellow.files import replace_file
from mellow.progress import Progress, silent

__all__ = ["audit", "sections_beside", "to_json", "to_markdown"]

log = logging.getLogger(__name__)

JUDGED_BY_TEXT = 20_000  # records, about, that the model of text judges; its rate is an estimate from there on
NUMBERS = "number without source"


class Rates:
    """How many rows each filter rejects, per family, and a few of them to look at."""

    def __init__(self, filters: Sequence[Filter], audio: Path | None, rejected: TextIO | None) -> None:
        self._filters = [one for one in filters if not isinstance(one, TextOnlyFilter)]
        self._by_text = next((one for one in filters if isinstance(one, TextOnlyFilter)), None)
        self._audio, self._rejected = audio, rejected
        self._rows: Counter[str] = Counter()
        self._judged: Counter[str] = Counter()
        self._found: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, list[str]] = defaultdict(list)

    def look(self, chunk: Sequence[Record], every: int) -> None:
        """every: the model of text judges one record in so many, chosen by their content."""
        for record in chunk:
            self._rows[family_of(record)] += 1
        faults: list[list[tuple[str, str]]] = [[] for _ in chunk]
        for one in self._filters:
            for place, reason in enumerate(one.reasons(chunk)):
                if reason:
                    faults[place].append((one.name, reason))
        if self._by_text is not None:
            places = [place for place, record in enumerate(chunk) if every == 1 or not key_of(record.id) % every]
            self._judged.update(family_of(chunk[place]) for place in places)
            for place, reason in zip(places, self._by_text.reasons([chunk[p] for p in places]), strict=True):
                if reason:
                    faults[place].append((self._by_text.name, reason))
        for record, found in zip(chunk, faults, strict=True):
            if reason := number_reason(record, self._audio):
                found.append((NUMBERS, reason))
            if found:
                self._note(record, found)

    def _note(self, record: Record, faults: Sequence[tuple[str, str]]) -> None:
        for name, reason in faults:
            self._found[name][family_of(record)] += 1
            if len(self._examples[name]) < EXAMPLES:
                self._examples[name].append(f"{name}: {reason}: {record.question!r} {record.answer!r}")
        self._found["any filter"][family_of(record)] += any(name != NUMBERS for name, _ in faults)
        if self._rejected is not None:
            row = json.loads(record.to_json()) | {"faults": [{"filter": n, "reason": r} for n, r in faults]}
            self._rejected.write(json.dumps(row, ensure_ascii=False) + "\n")

    def section(self) -> Section:
        families = sorted(self._rows)
        names = [*(one.name for one in self._filters), TextOnlyFilter.name, NUMBERS, "any filter"]
        rows = {}
        for name in names:
            counts = self._judged if name == TextOnlyFilter.name else self._rows
            found = self._found[name]
            rows[name] = {"all": share(found.total(), counts.total())}
            rows[name] |= {family: share(found[family], counts[family]) for family in families if counts[family]}
        note = (
            "Share of rows that each filter rejects. Numbers without a source are kept, said in words or dropped as a "
            "recipe says, and are not counted in the last row."
        )
        examples = tuple(example for name in names for example in self._examples[name][:2])
        return Section("filters", "Filters", rows, frozenset({"all", *families}), note, examples)


def audit(
    read: Callable[[], Iterable[Record]],
    *,
    audio: Path | None = None,
    rejected: Path | None = None,
    settings: FilterSettings | None = None,
    progress: Progress = silent,
) -> list[Section]:
    """Measure a data set in two passes; memory grows by some hundred bytes per distinct clip and caption.

    read: gives the records, each time anew.
    audio: the directory of the clips; those on disk are hashed, compared across splits, and measured where an answer
        states a number.
    rejected: JSONL of the rows that a filter rejects, with all their faults.
    Raises DataError where there are no records.
    """
    filters = (settings or FilterSettings()).filters()
    captions, control = Captions(), TextControl()
    numbers, people = Numbers(), People()
    measures: list[Measure] = [Overview(), control, Names(), captions, Conflicts(), Places(), Foci(), people, Tiers()]
    measures += [numbers, Benchmarks(), *([Recordings(audio)] if audio else [])]
    count = _first_pass(read(), measures, [one for one in filters if isinstance(one, Counting)], progress)
    if not count:
        raise DataError("The data set has no records; there is nothing to audit.")
    captions.finish()
    with replace_file(rejected) if rejected else nullcontext() as file:
        rates = Rates(filters, audio, file)
        done, every = 0, max(1, count // JUDGED_BY_TEXT)
        for chunk in in_chunks(read()):
            rates.look(chunk, every)
            for record in chunk:
                captions.look(record)
            done += len(chunk)
            progress("Filters", done, count)
    sections = [section for measure in measures for section in measure.sections() if section.rows]
    return [sections[0], rates.section(), *sections[1:]]


def _first_pass(
    records: Iterable[Record], measures: Sequence[Measure], counting: Sequence[Counting], progress: Progress
) -> int:
    count = 0
    for chunk in in_chunks(records):
        for record in chunk:
            for measure in measures:
                measure.observe(record)
            for one in counting:
                one.observe(record)
        count += len(chunk)
        progress("Records", count, 0)
    for one in counting:
        one.finish()
    return count


# --- reports ----------------------------------------------------------------------------------------------------------


def sections_beside(audits: Sequence[Sequence[Section]], names: Sequence[str]) -> list[Section]:
    """Each part of several audits beside one another; a part that a data set lacks is empty there."""
    keys = list(dict.fromkeys(section.key for sections in audits for section in sections))
    made = []
    for key in keys:
        parts = [next((section for section in sections if section.key == key), None) for sections in audits]
        title = next(part.title for part in parts if part)
        made.append(beside([part or Section(key, title, {}) for part in parts], names))
    return made


def to_json(sections: Sequence[Section]) -> dict[str, Any]:
    """All parts by their key."""
    return {section.key: section.to_json() for section in sections}


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """A document with a heading per part."""
    return "\n".join([f"# {title}\n", *(markdown(section) for section in sections)])
