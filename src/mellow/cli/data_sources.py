"""`mellow data sources`: the data sets that we read, and what of them is on disk."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli.console import Quiet, say, show_logs
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from mellow.data.sources.on_disk import FoundTable
    from mellow.data.sources.spec import SourceSpec, TableSpec

__all__ = ["sources"]


def sources(
    root: Annotated[
        Path | None,
        typer.Argument(metavar="[ROOT]", file_okay=False, help="Folder with tables and audio, in any subfolders."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """List the published data sets that can be read: files, licences, and what of them is below ROOT.

    Tables below ROOT are read to their end: rows, rows left out with the reason, and clips present and absent are
    counted.
    """
    from rich.console import Console

    from mellow.data.sources.on_disk import find_tables
    from mellow.data.sources.spec import sources as known

    show_logs(quiet=quiet)
    found: list[FoundTable] = []
    if root is not None:
        with progress_bar() as progress:
            found = find_tables(root, progress=progress)
    if as_json:
        say(json.dumps([_plain(source, found) for source in known().values()], ensure_ascii=False, indent=2))
        return
    console = Console()
    for source in known().values():
        say(f"{source.title} ({source.name}): {source.gives}; {source.published}; licence: {source.licence}")
        say(f"Audio: {source.audio}.")
        here = [one for one in found if one.source is source]
        if root is None:
            console.print(_published(source))
            for note in source.notes:
                say(note)
        else:
            console.print(_on_disk(source, here))
            for one in here:
                _explain(one)
        say("")


def _plain(source: SourceSpec, found: list[FoundTable]) -> dict[str, Any]:
    return {**asdict(source), "on_disk": [one.to_dict() for one in found if one.source is source]}


def _published(source: SourceSpec) -> Table:
    """The tables of a source with the rows that they should have."""
    made = _table("split", "rows")
    for table in source.tables:
        made.add_row(table.file, table.split, _number(table.rows))
    return made


def _on_disk(source: SourceSpec, found: list[FoundTable]) -> Table:
    """The tables of a source, each with its counts if it is there."""
    made = _table("rows", "used", "clips", "absent")
    for table in source.tables:
        of_table = [one for one in found if one.table is table]
        if not of_table:
            made.add_row(table.file, "not here")
        for one in of_table:
            counts = one.report
            clips = len(counts.present | counts.absent)
            made.add_row(one.path.name, _rows(one, table), *map(str, (counts.kept, clips, len(counts.absent))))
    return made


def _table(*columns: str) -> Table:
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="")
    made.add_column("table", no_wrap=True)
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)
    return made


def _rows(found: FoundTable, table: TableSpec) -> str:
    if found.error:
        return "broken"
    same = table.rows in (None, found.report.rows)
    return str(found.report.rows) if same else f"{found.report.rows} of {table.rows}"


def _number(count: int | None) -> str:
    return "not counted" if count is None else str(count)


def _explain(found: FoundTable) -> None:
    """A line for each oddity: why reading ended, what was left out, what was noted."""
    name = found.path.name
    if found.error:
        say(f"Broken: {found.error}")
    if found.published is False:
        say(f"{name}: not the published file (its checksum differs)")
    for reason, count in sorted((+found.report.left_out).items()):
        say(f"{name}: left out: {reason}: {count}")
    for reason, count in sorted((+found.report.noted).items()):
        say(f"{name}: noted: {reason}: {count}")
