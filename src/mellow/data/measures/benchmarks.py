"""Overlap of training clips with the corpora that a benchmark draws on."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib.resources import files

from mellow.data.measures.base import share
from mellow.data.records import Record
from mellow.data.section import Section, Value

__all__ = ["Benchmarks"]

TAIL = re.compile(r"_(?:train|val|test|dev|development|validation|evaluation)$")


@cache
def _corpora() -> dict[str, tuple[int, frozenset[str]]]:
    """Corpus -> items of MMAU test-mini, and the training sources that draw on it."""
    text = files("mellow.data.measures").joinpath("benchmarks.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: (int(items), frozenset(sources.split())) for name, items, _, sources in rows}


class Benchmarks:
    """Which of MMAU's corpora the training rows come from; its files are renamed, so that names cannot be compared."""

    def __init__(self) -> None:
        self._sources: Counter[str] = Counter()

    def observe(self, record: Record) -> None:
        if record.split == "train":
            self._sources[TAIL.sub("", record.source.lower()) or "(not told)"] += 1

    def sections(self) -> list[Section]:
        total = sum(items for items, _ in _corpora().values())
        rows: dict[str, dict[str, Value]] = {}
        for source, count in sorted(self._sources.items()):
            shared = {name: items for name, (items, drawn) in _corpora().items() if source in drawn}
            rows[source] = {
                "training rows": count,
                "corpora shared with MMAU": ", ".join(shared) or "none known",
                "items": sum(shared.values()),
                "share of MMAU": share(sum(shared.values()), total),
            }
        note = (
            "Items of MMAU test-mini (v05.15.25) from a corpus that the training audio is drawn from as well. MMAU "
            "renames its clips, so that only the corpora can be compared."
        )
        return [Section("mmau", "Corpora shared with MMAU", rows, frozenset({"share of MMAU"}), note)]
