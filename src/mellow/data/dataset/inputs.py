"""The tables of a recipe, found on disk and read as records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mellow.data.captions.tasks import maker_of
from mellow.data.dataset.recipe import RECORDS, TABLE, DatasetRecipe, SourceRecipe
from mellow.data.records import CaptionedClip, Record, Split, read_records
from mellow.data.sources import READERS, audiocaps
from mellow.data.sources.audio import AudioRoot, clip_key
from mellow.data.sources.on_disk import table_files
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import sources
from mellow.errors import DataError

__all__ = ["Input", "Lengths", "find_inputs", "read_clip_list", "read_input"]


Lengths = dict[str, float]  # seconds of clips, by what their names have in common


@dataclass
class Input:
    """A table that is read: the entry of the recipe, its path, its split where that is known beforehand."""

    recipe: SourceRecipe
    path: Path
    split: Split | None = None
    report: SourceReport = field(default_factory=SourceReport)

    @property
    def name(self) -> str:
        return self.path.name


def find_inputs(recipe: DatasetRecipe) -> tuple[list[Input], list[str]]:
    """The tables that are there, in the order of the recipe, and the names of those that are not.

    Raises DataError where nothing is there, or where the recipe requires what is not.
    """
    root = Path(recipe.root)
    if not root.is_dir():
        raise DataError(f"The folder of tables {recipe.root!r} is not there; set root in the recipe.")
    found: list[Input] = []
    absent: list[str] = []
    published = None
    for source in recipe.sources:
        if source.files:
            for pattern in source.files:
                paths = sorted(root.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
                paths = [path for path in paths if path.is_file()]
                found += [Input(source, path, source.split) for path in paths]
                absent += [] if paths else [pattern]
            continue
        published = published if published is not None else list(table_files(root))
        here = {table.file: path for spec, table, path in published if spec.name == source.source}
        for table in sources()[source.source].tables:
            if table.file in here:
                found.append(Input(source, here[table.file], source.split or table.split))
            else:
                absent.append(f"{source.source}/{table.file}")
    if not found:
        raise DataError(f"None of the recipe's tables is below {recipe.root!r}; set root in the recipe.")
    if absent and recipe.absent_tables == "require":
        raise DataError(
            f"{len(absent)} tables are not below {recipe.root!r} (the first: {absent[0]}); "
            "put them there, or set absent_tables: report."
        )
    return found, absent


def read_input(table: Input, recipe: DatasetRecipe, audio: AudioRoot | None, known: Lengths) -> Iterator[Record]:
    """The records of a table, with the paths under which their clips lie.

    The table's report is filled, and `known` with the lengths of clips that the table tells.
    """
    lists = {split: read_clip_list(path) for split, path in table.recipe.clips.items()}
    make = maker_of(table.recipe.tasks, seed=recipe.seed)
    for item in _items(table, audio):
        names = (item.audio,) if isinstance(item, CaptionedClip) else item.audio
        wanted = lists.get(item.split)
        if wanted is not None and not wanted.issuperset(map(clip_key, names)):
            table.report.left_out["clip not in the list"] += 1
        elif isinstance(item, Record):
            if item.source == "audiocaps":
                known.update(dict.fromkeys(map(clip_key, names), audiocaps.SECONDS))
            yield item if item.subtype else replace(item, subtype=table.recipe.subtype)
        else:
            if item.seconds is not None:
                known[clip_key(item.audio)] = item.seconds
            for record in make(_cut(item, table)):
                yield record if record.subtype else replace(record, subtype=table.recipe.subtype)


def _items(table: Input, audio: AudioRoot | None) -> Iterator[CaptionedClip | Record]:
    """What the reader of the source makes of the table."""
    recipe, report = table.recipe, table.report
    if recipe.source == RECORDS:
        for record in read_records(table.path):
            report.rows += 1
            yield from deliver(record, audio, report)
        return
    reader = TABLE if recipe.source == TABLE else sources()[recipe.source].reader
    options: dict[str, Any] = {"split": table.split, "audio": audio, "report": report}
    options |= {"columns": recipe.table_columns()} if recipe.source == TABLE else {}
    options |= {"encoding": recipe.encoding} if recipe.encoding else {}
    options |= {"blacklist": recipe.blacklist} if recipe.blacklist else {}
    try:
        yield from READERS[reader](table.path, **options)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise DataError(f"The source {recipe.source!r} has no setting {str(error).split()[-1]}.") from None


def _cut(clip: CaptionedClip, table: Input) -> CaptionedClip:
    most = table.recipe.captions_per_clip.get(clip.split, len(clip.captions))
    beyond = max(0, len(clip.captions) - most)
    if beyond:
        table.report.left_out["caption beyond captions_per_clip"] += beyond
    return replace(clip, captions=clip.captions[:most]) if beyond else clip


def read_clip_list(path: str | Path) -> frozenset[str]:
    """The clips that a file names, one a line, by what names of one clip have in common."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"The list of clips {path} cannot be read ({reason}).") from None
    return frozenset(clip_key(line) for line in lines if line.strip())
