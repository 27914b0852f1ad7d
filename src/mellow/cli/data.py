"""`mellow data`: training data from labelled recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli.console import show_logs
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["app"]

app = typer.Typer(help="Make training data.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Make training data."""


@app.command()
def compose(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", exists=True, dir_okay=False, help="The manifest.jsonl of labelled recordings."
        ),
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="Where scenes and examples go.")],
    count: Annotated[int, typer.Option(metavar="N", min=0, help="Scenes to compose for training.")] = 14_000,
    development: Annotated[int, typer.Option(metavar="N", min=0, help="Scenes of recordings never trained on.")] = 500,
    held_out: Annotated[int, typer.Option(metavar="N", min=0, help="Scenes of sounds never trained on.")] = 120,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Equal seeds and recordings give equal files.")] = 1,
    per_scene: Annotated[int, typer.Option(metavar="N", min=1, help="Questions asked of each scene.")] = 6,
    pairs: Annotated[float, typer.Option(metavar="X", min=0, help="Pairs of clips per scene, each asked about.")] = 0.3,
    word_only: Annotated[int, typer.Option(metavar="N", min=0, help="Rows without audio, for training.")] = 4_000,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes that render scenes.")] = 1,
) -> None:
    """Compose scenes from labelled recordings, and write questions with true answers about them.

    Writes scenes.jsonl, audio/, train.jsonl, development.jsonl, held_out.jsonl and report.json. A run that was stopped
    goes on where it was.
    """
    from rich.console import Console

    from mellow.data.build import build
    from mellow.data.store import write_scenes

    show_logs()
    counts = {"count": count, "development": development, "held_out": held_out}
    with progress_bar() as progress:
        write_scenes(out_dir, manifest, **counts, seed=seed, workers=workers, progress=progress)
    result = build(out_dir, per_scene=per_scene, pairs=pairs, word_only=word_only, seed=seed)
    for split, numbers in result.items():
        if numbers["rows"]:
            Console().print(table(split, numbers))
    typer.echo(f"The examples lie in {out_dir}; name {out_dir / 'train.jsonl'} in a recipe to train on them.")


def table(split: str, numbers: Mapping[str, Any]) -> Table:
    """What the report says of a split, for the terminal."""
    from rich.table import Table

    title = f"{split}: {numbers['rows']} rows, {numbers['clips']} clips, {numbers['vocabulary']} different words"
    made = Table(title=title)
    made.add_column("task")
    for column in ("rows", "closed", "words per answer", "right option first of 4", "text only", "chance"):
        made.add_column(column, justify="right")
    for task, row in numbers["tasks"].items():
        control = numbers["control"].get(task)
        first = row["places"].get("4", [None])[0]
        made.add_row(
            task,
            str(row["rows"]),
            str(row["closed"]),
            str(row["answer_words"]),
            "" if first is None else f"{first:.2f}",
            f"{control['accuracy']:.3f}" if control else "",
            f"{control['chance']:.3f}" if control else "",
        )
    return made
