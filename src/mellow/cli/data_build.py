"""`mellow data build`: a data set from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli.console import Quiet, say, show_logs
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["build"]


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file such as recipes/data/reasonaqa.yaml.")],
    root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the tables, instead of the recipe's `root`.")
    ] = None,
    audio_root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with the clips, instead of the recipe's `audio_root`.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="New directory to write, instead of the recipe's `output`.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build a data set from a recipe: published tables, captions and synthetic pairs, filtered and counted.

    Writes train.jsonl, val.jsonl and test.jsonl, the same as published JSON, left_out.jsonl, report.md, report.json and
    card.md into a new directory, which appears when all is done.
    """
    from mellow.data.dataset.recipe import read_dataset_recipe

    settings = read_dataset_recipe(recipe, root=root, audio_root=audio_root, output=output)
    from rich.console import Console

    from mellow.data.dataset.build import build_dataset

    show_logs(quiet=quiet)
    with progress_bar() as progress:
        report = build_dataset(settings, progress=progress)
    if not quiet:
        Console().print(table1(report))
    pairs = ", ".join(f"{made['pairs']} pairs in {split}" for split, made in report["splits"].items())
    say(f"Wrote {pairs} to {settings.output}; report.md says what is in it and what was left out.")


def table1(report: dict[str, Any]) -> Table:
    """Pairs by row and split, ours of those that the paper counts."""
    from rich.table import Table

    made = Table(title="Pairs (and those of the paper's Table 1)", box=None, header_style="")
    made.add_column("row", no_wrap=True)
    splits = ("train", "val", "test")
    for split in splits:
        made.add_column(split, justify="right", no_wrap=True)
    lines = {(line["row"], line["split"]): line for line in report["table1"]}
    for row in dict.fromkeys(line["row"] for line in report["table1"]):
        made.add_row(row, *(_cell(lines.get((row, split))) for split in splits))
    return made


def _cell(line: dict[str, Any] | None) -> str:
    if line is None:
        return ""
    ours = str(line["ours"]["pairs"])
    return ours if line["paper"] is None else f"{ours} ({line['paper']['pairs']})"
