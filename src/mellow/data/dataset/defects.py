"""Known defects of the published tables, measured on whatever is built: they belong into every report and card."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mellow.data.records import Record
from mellow.data.sources.published import LABELS
from mellow.data.tally import Tally, key_of

__all__ = ["Defects"]

HYPOTHESIS = re.compile(r'"(.*)"\?', re.DOTALL)
FREQUENCY = re.compile(r"\bk?hz\b|\d\s*k?hz\b", re.IGNORECASE)
NAMES = {text: label for label, text in LABELS.items()}


@dataclass
class Defects:
    """Conflicting answers, hypotheses whose length tells the class, frequencies that no caption holds, equal rows."""

    rows: Tally = field(default_factory=Tally)
    answers: dict[int, Counter[str]] = field(default_factory=dict)  # of binary questions about a clip
    words: Counter[str] = field(default_factory=Counter)  # of hypotheses by class
    hypotheses: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)  # answers by published file
    frequencies: Counter[str] = field(default_factory=Counter)  # those that name one
    own_clip: int = 0  # compared with itself

    def add(self, record: Record) -> None:
        self.rows.add(key_of(record.id))
        if record.task == "binary":
            self.answers.setdefault(key_of(*record.audio, record.question), Counter())[record.answer.lower()] += 1
        elif record.task == "entailment" and (match := HYPOTHESIS.search(record.question)):
            label = NAMES.get(record.answer, "other")
            self.hypotheses[label] += 1
            self.words[label] += len(match[1].split())
        elif record.task == "difference":
            name = record.subtype.removesuffix(".json")
            self.differences[name] += 1
            self.frequencies[name] += bool(FREQUENCY.search(record.answer))
            self.own_clip += len(record.audio) == 2 and record.audio[0] == record.audio[1]

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"equal_rows": self.rows.total() - len(self.rows)}
        if self.answers:
            every = [given for given in self.answers.values() if given.total() > 1]
            rows = sum(given.total() for given in self.answers.values())
            found["binary"] = {
                "rows": rows,
                "questions": len(self.answers),
                "conflicting_questions": sum(len(given) > 1 for given in every),
                "rows_of_conflicting_questions": sum(given.total() for given in every if len(given) > 1),
                "ceiling_percent": _percent(sum(max(given.values()) for given in self.answers.values()), rows),
                "always_yes_percent": _percent(sum(given["yes"] for given in self.answers.values()), rows),
            }
        if self.hypotheses:
            found["words_of_hypotheses"] = {
                label: round(self.words[label] / count, 1) for label, count in sorted(self.hypotheses.items())
            }
        if self.differences:
            found["answers_that_name_hz"] = {
                name: {"rows": count, "of_them": self.frequencies[name]}
                for name, count in sorted(self.differences.items())
            }
            found["clip_compared_with_itself"] = self.own_clip
        return found


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)
