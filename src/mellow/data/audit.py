"""An audit of any data set: what its filters would reject, what text alone answers, and what its splits share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mellow.data.filters.apply import FilterSettings, in_chunks
from mellow.data.filters.base import Counting
from mellow.data.gate import TextControl
from mellow.data.measures.base import Measure
from mellow.data.measures.benchmarks import Benchmarks
from mellow.data.measures.conflicts import Conflicts
from mellow.data.measures.foci import Foci
from mellow.data.measures.leakage import Captions, Names
from mellow.data.measures.overview import Numbers, Overview
from mellow.data.measures.people import People
from mellow.data.measures.places import Places
from mellow.data.measures.rates import ALL, Rates
from mellow.data.measures.recordings import Recordings
from mellow.data.measures.tiers import Tiers
from mellow.data.records import Record
from mellow.data.section import Section, beside, markdown
from mellow.errors import DataError
from mellow.files import replace_file
from mellow.progress import Progress, silent

__all__ = ["audit", "sections_beside", "to_json", "to_markdown"]

JUDGED_BY_TEXT = 20_000  # records, about, that the model of text judges; its rate is an estimate from there on


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
        progress("Records", count, count)  # how many there are is known at their end
    for one in counting:
        one.finish()
    return count


# --- reports ----------------------------------------------------------------------------------------------------------


def sections_beside(audits: Sequence[Sequence[Section]], names: Sequence[str]) -> list[Section]:
    """Each part of several audits beside one another; a part that a data set lacks is empty there."""
    keys = list(dict.fromkeys(section.key for sections in audits for section in sections))
    made = []
    for key in keys:  # of filters the families would make too many columns
        found = [next((section for section in sections if section.key == key), None) for sections in audits]
        title = next(part.title for part in found if part)
        parts = [part or Section(key, title, {}) for part in found]
        made.append(beside([_all_only(part) if key == "filters" else part for part in parts], names))
    return made


def _all_only(section: Section) -> Section:
    """Filters for all families together."""
    rows = {name: {ALL: row[ALL]} for name, row in section.rows.items() if ALL in row}
    return replace(section, rows=rows)


def to_json(sections: Sequence[Section]) -> dict[str, Any]:
    """All parts by their key."""
    return {section.key: section.to_json() for section in sections}


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """A document with a heading per part."""
    return "\n".join([f"# {title}\n", *(markdown(section) for section in sections)])
