"""Position bias: how often each place of a list of options is the right one."""

from __future__ import annotations

from collections import Counter, defaultdict

from mellow.data.measures.base import family_of, share
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.wording import is_yes_no, options_of, without_letter

__all__ = ["Places"]

MOST_OPTIONS = 6


class Places:
    """The right places by family and number of options; labels that stand in a fixed order have none."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)

    def observe(self, record: Record) -> None:
        options = options_of(record)
        answer = without_letter(record.answer)
        if is_yes_no(record):
            self._labels[family_of(record)][answer.lower().strip(" .!")] += 1
        elif record.task == "entailment":
            self._labels[family_of(record)][answer] += 1
        elif answer in options and 2 <= len(options) <= MOST_OPTIONS:
            self._places[family_of(record), len(options)][options.index(answer)] += 1

    def sections(self) -> list[Section]:
        rows = {}
        for (family, count), places in sorted(self._places.items()):
            shares = [share(places[place], places.total()) for place in range(count)]
            rows[f"{family}, {count} options"] = {
                "rows": places.total(),
                "even": share(1, count),
                "excess": round(max(shares) - 1 / count, 4),
                **{chr(ord("A") + place): value for place, value in enumerate(shares)},
            }
        columns = frozenset({*"ABCDEF", "even", "excess"})
        note = "How often the right option stands in each place; excess is what always choosing the best place gains."
        made = [Section("places", "Places of the right option", rows, columns, note)]
        labels = {
            f"{family}: {label}": {"rows": count, "share": share(count, counts.total())}
            for family, counts in sorted(self._labels.items())
            for label, count in counts.most_common(MOST_OPTIONS)
        }
        return [*made, Section("labels", "Labels", labels, frozenset({"share"}))]
