"""Building a data set from a recipe: read and select, judge what needs the whole set, write, count, report.

Records stream through twice, by way of a file per split; memory holds the clips' names, not the rows.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, TextIO, get_args

from mellow.data.dataset.card import card
from mellow.data.dataset.counts import SplitCounts
from mellow.data.dataset.crossing import Crossing
from mellow.data.dataset.inputs import Input, Lengths, find_inputs, read_input
from mellow.data.dataset.recipe import DatasetRecipe
from mellow.data.dataset.report import markdown
from mellow.data.dataset.select import Selection, row_of
from mellow.data.dataset.summary import summary
from mellow.data.filters.apply import Filtered, filter_records
from mellow.data.gate import gate
from mellow.data.records import Record, Split, read_records, write_records
from mellow.data.sources import reasonaqa
from mellow.data.sources.audio import AudioRoot
from mellow.errors import DataError
from mellow.files import new_directory
from mellow.progress import Progress, silent, tracked

__all__ = ["SPLITS", "LeftOut", "build_dataset"]

log = logging.getLogger(__name__)
SPLITS: tuple[Split, ...] = get_args(Split)
NOT_CHOSEN = "not chosen: "


class LeftOut:
    """Counts what is left out by split, row of Table 1 and reason, and keeps the records themselves in a file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.counts: dict[tuple[Split, str], Counter[str]] = {}

    def count(self, record: Record, reason: str) -> None:
        self.counts.setdefault((record.split, row_of(record)), Counter())[reason] += 1

    def keep(self, record: Record, reason: str, detail: str = "") -> None:
        self.count(record, reason)
        told = f"{reason}: {detail}" if detail else reason
        self._file.write(json.dumps({**record.to_dict(), "reason": told}, ensure_ascii=False) + "\n")


def build_dataset(recipe: DatasetRecipe, *, progress: Progress = silent) -> dict[str, Any]:
    """Write the data set into the new directory `recipe.output`, whole or not at all, and return its report.

    `SPLIT.jsonl` (records) and `reasonaqa_SPLIT.json` (as published) of every split that has rows, `left_out.jsonl`
    (records with the reason), `clips_SPLIT.txt`, `report.json`, `report.md` and `card.md`.
    Raises DataError for tables that are broken, absent or give nothing, and where a family can be answered from text.
    """
    tables, absent_tables = find_inputs(recipe)
    audio = AudioRoot(recipe.audio_root) if recipe.audio_root else None
    if absent_tables:
        first = ", ".join(absent_tables[:3])
        log.warning("%d tables are not here, so that their rows are missing: %s ...", len(absent_tables), first)
    with new_directory(Path(recipe.output)) as folder:
        with (folder / "left_out.jsonl").open("w", encoding="utf-8") as file:
            left_out, known = LeftOut(file), Lengths()
            crossing, absent = _collect(recipe, tables, audio, folder, left_out, known, progress)
            if audio is not None and recipe.hash_audio:
                crossing.hash(audio, progress=progress)
            counts, filtered = [], {}
            for split in tracked(SPLITS, "Writing", progress):
                made = SplitCounts(split)
                filtered[split] = _write(recipe, folder, made, crossing, left_out)
                made.absent = absent.intersection(made.clips.values())
                counts.append(made)
        if not any(made.pairs for made in counts):
            raise DataError("No row of the tables is left; the recipe's subtypes, clips and filters exclude them all.")
        written = chain.from_iterable(read_records(folder / f"{made.split}.jsonl") for made in counts if made.pairs)
        control = gate(written, allow=recipe.allow_text_only)
        if audio is not None and recipe.measure_audio:
            _measure(counts, known, audio)
        result = summary(
            recipe, tables=tables, absent_tables=absent_tables, counts=counts, seconds=known,
            left_out=left_out.counts, crossing=crossing.to_dict(), filtered=filtered, control=control,
        )  # fmt: skip
        (folder / "report.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(result), encoding="utf-8")
        (folder / "card.md").write_text(card(result), encoding="utf-8")
    return result


# --- first pass -------------------------------------------------------------------------------------------------------


def _collect(
    recipe: DatasetRecipe,
    tables: list[Input],
    audio: AudioRoot | None,
    folder: Path,
    left_out: LeftOut,
    known: Lengths,
    progress: Progress,
) -> tuple[Crossing, set[str]]:
    """Write the selected records of each split; returns which clips are in which splits, and which are absent."""
    selection, crossing, absent = Selection(recipe), Crossing(), set[str]()
    with ExitStack() as stack:
        files = {split: stack.enter_context(_staged(folder, split).open("w", encoding="utf-8")) for split in SPLITS}
        for table in tracked(tables, "Reading tables", progress):
            for record in read_input(table, recipe, audio, known):
                if (choice := selection.not_chosen(record)) is not None:
                    left_out.count(record, NOT_CHOSEN + choice)
                elif (fault := selection.fault(record, table.report.absent)) is not None:
                    left_out.keep(record, fault)
                else:
                    crossing.add(record)
                    files[record.split].write(record.to_json() + "\n")
            absent |= table.report.absent
    return crossing, absent


def _staged(folder: Path, split: Split) -> Path:
    return folder / f".{split}.selected"


# --- second pass ------------------------------------------------------------------------------------------------------


def _write(
    recipe: DatasetRecipe, folder: Path, counts: SplitCounts, crossing: Crossing, left_out: LeftOut
) -> Filtered | None:
    """Write a split's files from its selected records; returns what filtering came to, if there was any."""
    split, staged = counts.split, _staged(folder, counts.split)
    settings = recipe.filter_settings
    result = Filtered() if settings else None

    def selected() -> Iterator[Record]:
        for record in read_records(staged):
            if recipe.crossing == "keep" or crossing.reason(record) is None:
                yield record

    def judged(record: Record) -> bool:
        return settings is not None and record.task in recipe.filtered_tasks

    kept: Iterable[Record] = (record for record in selected() if not judged(record))
    if settings is not None:
        rejected, audio = folder / f".{split}.rejected", recipe.audio_root
        filtered = filter_records(
            lambda: filter(judged, selected()), settings, rejected=rejected, audio=Path(audio) if audio else None,
            result=result,
        )  # fmt: skip
        kept = chain(kept, filtered)
    write_records(folder / f"{split}.jsonl", _seen(kept, counts.add))
    if recipe.crossing == "leave_out":
        for record in read_records(staged):
            if (reason := crossing.reason(record)) is not None:
                left_out.keep(record, reason)
    if settings is not None:
        _keep_rejected(rejected, left_out)
    staged.unlink()
    _publish(folder, counts)
    return result


def _seen(records: Iterable[Record], watch: Callable[[Record], None]) -> Iterator[Record]:
    for record in records:
        watch(record)
        yield record


def _keep_rejected(path: Path, left_out: LeftOut) -> None:
    """Move what the filters rejected to the other rows that are left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            name, reason = row.pop("filter"), row.pop("reason")
            record = Record.from_json(json.dumps(row), where=str(path))
            left_out.keep(record, f"filter: {name}", reason or "")
    path.unlink()


def _publish(folder: Path, counts: SplitCounts) -> None:
    """The published JSON and the list of clips beside the records; nothing for a split without rows."""
    records = folder / f"{counts.split}.jsonl"
    if not counts.pairs:
        records.unlink()
        return
    reasonaqa.write(folder / f"reasonaqa_{counts.split}.json", read_records(records))
    names = sorted(counts.clips.values())
    (folder / f"clips_{counts.split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _measure(counts: list[SplitCounts], known: Lengths, audio: AudioRoot) -> None:
    """Set the lengths of the clips that are on disk from their headers."""
    for made in counts:
        for key, path in made.clips.items():
            seconds = audio.seconds(path) if path not in made.absent else None
            if seconds is not None:
                known[key] = seconds
