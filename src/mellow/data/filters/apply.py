"""All filters as a recipe sets them, over records of any number: two passes, constant memory, rejected rows kept."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from mellow.checks import whole_number, within
from mellow.data.filters.base import Filter, Rule, fit
from mellow.data.filters.choices import answer_is_no_option, two_right_options
from mellow.data.filters.harm import harmful
from mellow.data.filters.knowledge import tells_the_caption, world_knowledge
from mellow.data.filters.leaks import leaking_answer
from mellow.data.filters.lengths import bad_generation, bad_length
from mellow.data.filters.letters import rebalanced
from mellow.data.filters.numbers import uncarried, unit_names
from mellow.data.filters.refusals import refusal
from mellow.data.filters.repeated import RepeatedQuestions
from mellow.data.filters.signal import measured_clip, verdict
from mellow.data.filters.softening import softened
from mellow.data.filters.text_only import TextOnlyFilter
from mellow.data.filters.vague import vague
from mellow.data.records import Record
from mellow.errors import DataError
from mellow.files import replace_file

__all__ = ["RULES", "FilterSettings", "Filtered", "filter_records", "in_chunks", "number_reason"]

log = logging.getLogger(__name__)

Numbers = Literal["keep", "soften", "drop"]
CHUNK = 1000
LEAST_SHARE = 1e-9
RULES = (
    Rule("refusal", refusal),
    Rule("world knowledge", world_knowledge),
    Rule("caption in question", tells_the_caption),
    Rule("vague question", vague),
    Rule("answer not among options", answer_is_no_option),
    Rule("two right options", two_right_options),
    Rule("leaking answer", leaking_answer),
    Rule("length", bad_length),
    Rule("bad generation", bad_generation),
    Rule("harmful", harmful),
)


@dataclass(frozen=True)
class FilterSettings:
    """What a recipe says of filters.

    skip: names of filters that are left out.
    numbers: what becomes of answers with numbers that no caption carries and the clip does not bear out: they are kept,
        said in words (or dropped where that would not read well), or dropped.
    most_repeated, least_repeated: a question may be asked in this share of its family's rows, and so often at least.
    confidence: of a model of text, from which a question that it answers is rejected.
    balance: whether options are put in an order of their own, so that every letter is right equally often.
    seed: of that order.
    """

    skip: tuple[str, ...] = ()
    numbers: Numbers = "keep"
    most_repeated: float = 0.005
    least_repeated: int = 20
    confidence: float = 0.8
    balance: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.numbers not in get_args(Numbers):
            raise DataError(f"The filter setting numbers is {self.numbers!r}; use {', '.join(get_args(Numbers))}.")
        names = [*(rule.name for rule in RULES), RepeatedQuestions.name, TextOnlyFilter.name]
        if unknown := [name for name in self.skip if name not in names]:
            raise DataError(f"There is no filter {unknown[0]!r} to skip; use {', '.join(names)}.")
        for name in ("most_repeated", "confidence"):
            value, what = getattr(self, name), f"The filter setting {name}"
            within(value, what=what, low=LEAST_SHARE, high=1.0, error=DataError)
        for name, low in (("least_repeated", 1), ("seed", 0)):
            whole_number(getattr(self, name), what=f"The filter setting {name}", low=low, error=DataError)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FilterSettings:
        """From a recipe's `filters`; DataError names a key that is unknown."""
        known = [one.name for one in fields(cls)]
        if unknown := [name for name in values if name not in known]:
            raise DataError(f"There is no filter setting {unknown[0]!r}; use {', '.join(known)}.")
        arguments: dict[str, Any] = {name: tuple(value) if name == "skip" else value for name, value in values.items()}
        return cls(**arguments)

    def filters(self) -> list[Filter]:
        """The filters that judge, in their order; the first reason counts."""
        counting: list[Filter] = [RepeatedQuestions(self.most_repeated, self.least_repeated)]
        counting.append(TextOnlyFilter(self.confidence))
        return [one for one in (*RULES, *counting) if one.name not in self.skip]


@dataclass
class Filtered:
    """What filtering came to; complete when all records have been taken."""

    kept: int = 0
    softened: int = 0
    moved: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def filter_records(
    read: Callable[[], Iterable[Record]],
    settings: FilterSettings | None = None,
    *,
    rejected: str | Path | None = None,
    audio: Path | None = None,
    judges: Iterable[Filter] = (),
    result: Filtered | None = None,
) -> Iterator[Record]:
    """Yield the records that pass, in their order, and write the others with their reason.

    read: gives the records, each time anew; it is called twice where a filter counts.
    rejected: JSONL beside the result: each row a record with the fields `filter` and `reason`; it appears when all
        records have been taken.
    audio: the directory of the clips; what is there is measured before a number is doubted.
    judges: further filters, as `Judge`.
    result: is filled with counts.
    """
    settings, result = settings or FilterSettings(), result or Filtered()
    filters = [*settings.filters(), *judges]
    fit(filters, read())
    with replace_file(rejected) if rejected else nullcontext() as file:
        for chunk in in_chunks(read()):
            found = [one.reasons(chunk) for one in filters]
            for place, record in enumerate(chunk):
                faults = ((one.name, why[place]) for one, why in zip(filters, found, strict=True) if why[place])
                fault = next(faults, None)
                made, fault = (None, fault) if fault else _numbers(record, settings, audio, result)
                if made is None:
                    _reject(record, fault, file, result)
                    continue
                moved = rebalanced(made, settings.seed) if settings.balance else made
                result.moved += moved.choices != made.choices
                result.kept += 1
                yield moved


def _numbers(
    record: Record, settings: FilterSettings, audio: Path | None, result: Filtered
) -> tuple[Record | None, tuple[str, str | None] | None]:
    """The record as the policy of numbers leaves it, or None and why."""
    if settings.numbers == "keep" or (reason := number_reason(record, audio)) is None:
        return record, None
    if settings.numbers == "soften" and (made := softened(record)) is not None:
        result.softened += 1
        return made, None
    return None, ("number without source", reason)


def number_reason(record: Record, audio: Path | None = None) -> str | None:
    """Which numbers of an answer neither a caption carries nor a clip bears out."""
    found = uncarried(record)
    if found and audio is not None:
        clips = [measured_clip(audio / name) for name in record.audio]
        found = tuple(q for q in found if all(verdict(q, clip) != "agrees" for clip in clips))
    if not found:
        return None
    return f"no caption carries {found[0].text!r} ({unit_names(found)})"


def _reject(record: Record, fault: tuple[str, str | None] | None, file: TextIO | None, result: Filtered) -> None:
    name, reason = fault or ("unknown", None)
    result.rejected[name] += 1
    if file is not None:
        row = {**record.to_dict(), "filter": name, "reason": reason}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def in_chunks(records: Iterable[Record], size: int = CHUNK) -> Iterator[list[Record]]:
    """Lists of so many records, the last one shorter."""
    iterator = iter(records)
    while chunk := list(islice(iterator, size)):
        yield chunk
