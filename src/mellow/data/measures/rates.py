"""How many rows each filter rejects."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from mellow.data.filters.apply import number_reason
from mellow.data.filters.base import Filter
from mellow.data.filters.text_only import TextOnlyFilter
from mellow.data.measures.base import EXAMPLES, family_of, share
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.tally import key_of

__all__ = ["ALL", "Rates"]

NUMBERS = "number without source"
ANY = "any of them"
ALL = "all"
NOT_COUNTED = (NUMBERS, TextOnlyFilter.name)  # in the last row
MOST_COLUMNS = 8  # families that have a column each


class Rates:
    """How many rows each filter rejects, per family, and a few of them to look at."""

    def __init__(self, filters: Sequence[Filter], audio: Path | None, rejected: TextIO | None) -> None:
        self._filters = [one for one in filters if not isinstance(one, TextOnlyFilter)]
        self._by_text = next((one for one in filters if isinstance(one, TextOnlyFilter)), None)
        self._audio, self._rejected = audio, rejected
        self._rows: Counter[str] = Counter()
        self._tasks: dict[str, str] = {}
        self._judged: Counter[str] = Counter()
        self._found: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, list[str]] = defaultdict(list)

    def look(self, chunk: Sequence[Record], every: int) -> None:
        """every: the model of text judges one record in so many, chosen by their content."""
        for record in chunk:
            self._rows[family_of(record)] += 1
            self._tasks[family_of(record)] = record.task
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
        self._found[ANY][family_of(record)] += any(name not in NOT_COUNTED for name, _ in faults)
        if self._rejected is not None:
            row = record.to_dict() | {"faults": [{"filter": n, "reason": r} for n, r in faults]}
            self._rejected.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _columns(self) -> dict[str, list[str]]:
        """All families, and each of them, or, where these are many, each task."""
        columns = {ALL: sorted(self._rows)}
        for family in columns[ALL]:
            name = family if len(self._rows) <= MOST_COLUMNS else self._tasks[family]
            columns[name] = [*columns.get(name, []), family]
        return columns

    def section(self) -> Section:
        columns = self._columns()
        names = [*(one.name for one in self._filters), TextOnlyFilter.name, NUMBERS, ANY]
        rows = {}
        for name in names:
            seen = self._judged if name == TextOnlyFilter.name else self._rows
            rows[name] = {
                column: share(sum(self._found[name][family] for family in families), sum(seen[f] for f in families))
                for column, families in columns.items()
                if any(seen[family] for family in families)
            }
        note = (
            f"Share of rows that each filter rejects. A recipe keeps rows with a {NUMBERS}, says the number in words, "
            "or drops them; the last row leaves these out, and those that text alone answers."
        )
        examples = tuple(example for name in names for example in self._examples[name][:2])
        return Section("filters", "Filters", rows, frozenset(columns), note, examples)
