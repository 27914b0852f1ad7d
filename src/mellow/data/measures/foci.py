"""The six foci: what the questions of a data set ask for."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from functools import cache
from importlib.resources import files

from mellow.data.filters.base import SYNTHETIC
from mellow.data.measures.base import family_of, share
from mellow.data.records import Record
from mellow.data.section import Section, Value
from mellow.data.wording import stem_of

__all__ = ["FOCI", "Foci", "focus_of"]

FOCI = ("event", "object", "scene", "signal", "semantics", "listener_emotion")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """In the order of the file, which is that of precedence."""
    table = tomllib.loads(files("mellow.data.measures").joinpath("foci.toml").read_text(encoding="utf-8"))
    return {name: re.compile(rf"\b(?:{'|'.join(expressions)})\b") for name, expressions in table.items()}


def focus_of(question: str) -> str:
    """One of the six, or `other`."""
    text = question.lower()
    return next((name for name, pattern in _patterns().items() if pattern.search(text)), "other")


class Foci:
    """Counts them for questions that somebody made up; templates have no focus."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def observe(self, record: Record) -> None:
        if record.task in (*SYNTHETIC, "binary"):
            self._counts[family_of(record)][focus_of(stem_of(record))] += 1

    def sections(self) -> list[Section]:
        names = (*FOCI, "other")
        rows: dict[str, dict[str, Value]] = {}
        for family, counts in sorted(self._counts.items()):
            shares_of = {name.replace("_", " "): share(counts[name], counts.total()) for name in names}
            rows[family] = {"rows": counts.total(), **shares_of}
        shares = frozenset(name.replace("_", " ") for name in names)
        return [Section("foci", "What is asked for", rows, shares, "By the words of the question (`foci.toml`).")]
