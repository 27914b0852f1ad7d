"""The tiers of difference explanations: their length, and how many of their words are function words (section 4.3)."""

from __future__ import annotations

from collections import Counter, defaultdict

from mellow.data.measures.base import family_of, share
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.tally import Tally, key_of
from mellow.data.wording import function_words, words

__all__ = ["Tiers"]


class Tiers:
    """Per published file (`ACD-1`), and per question where there is none."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._pairs: dict[str, Tally] = defaultdict(Tally)

    def observe(self, record: Record) -> None:
        if record.task != "difference":
            return
        family = family_of(record) if record.subtype else record.question
        said = words(record.answer)
        counts = self._counts[f"{family}, {record.split}"]
        counts["rows"] += 1
        counts["words"] += len(said)
        counts["function"] += sum(word in function_words() for word in said)
        self._pairs[f"{family}, {record.split}"].add(key_of(*record.audio))

    def sections(self) -> list[Section]:
        rows = {
            tier: {
                "rows": counts["rows"],
                "pairs of clips": len(self._pairs[tier]),
                "words per answer": round(counts["words"] / counts["rows"], 1),
                "function words": share(counts["function"], counts["words"]),
            }
            for tier, counts in sorted(self._counts.items())
        }
        note = "Function words are articles, prepositions, conjunctions, pronouns and auxiliaries."
        return [Section("tiers", "Tiers of difference", rows, frozenset({"function words"}), note)]
