"""`mellow data`: training data from labelled recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli.console import Quiet, finite, say, show_logs
from mellow.cli.data_synthesize import synthesize
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["app"]

MOST = 100_000_000  # scenes or examples

app = typer.Typer(help="Generate training data.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Generate training data."""


@app.command()
def compose(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", exists=True, dir_okay=False, help="manifest.jsonl with labelled recordings."
        ),
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="Output directory.")],
    count: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="Number of training scenes.")] = 14_000,
    development: Annotated[
        int, typer.Option(metavar="N", min=0, max=MOST, help="Number of scenes from held-out recordings.")
    ] = 500,
    held_out: Annotated[
        int, typer.Option(metavar="N", min=0, max=MOST, help="Number of scenes with held-out sound classes.")
    ] = 120,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=2**64 - 1, help="Random seed; the same seed and recordings give the same files."
        ),
    ] = 1,
    per_scene: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Questions per scene.")] = 6,
    pairs: Annotated[
        float, typer.Option(metavar="X", min=0, max=1000, callback=finite, help="Two-clip examples per scene.")
    ] = 0.3,
    word_only: Annotated[
        int, typer.Option(metavar="N", min=0, max=MOST, help="Number of text-only training examples.")
    ] = 4_000,
    workers: Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Worker processes for rendering.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Compose scenes from labelled recordings, and write questions about them with correct answers.

    Writes scenes.jsonl, audio/, train.jsonl, development.jsonl, held_out.jsonl and report.json. Run it again to resume
    a run that was stopped.
    """
    from rich.console import Console

    from mellow.data.build import build
    from mellow.data.scenes.store import write_scenes

    show_logs(quiet=quiet)
    counts = {"count": count, "development": development, "held_out": held_out}
    with progress_bar() as progress:
        write_scenes(out_dir, manifest, **counts, seed=seed, workers=workers, progress=progress)
    result = build(out_dir, per_scene=per_scene, pairs=pairs, word_only=word_only, seed=seed)
    for split, numbers in result.items():
        if numbers["rows"]:
            Console().print(table(split, numbers))
    examples = out_dir / "train.jsonl"
    say(f"Wrote the examples to {out_dir}; to train on them, set data.examples in a recipe to {examples}.")


app.command()(synthesize)


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
