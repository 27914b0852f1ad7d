"""`mellow data`: training data from labelled recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli import data_audit, data_build, data_show, data_sources, data_statistics
from mellow.cli.console import Quiet, finite, say, show_logs
from mellow.cli.data_sounds import sounds
from mellow.cli.data_synthesize import synthesize
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["app"]

MOST = 100_000_000  # scenes or examples

app = typer.Typer(help="Make, audit and look at training data.", rich_markup_mode=None)
app.command("audit")(data_audit.audit)
app.command("build")(data_build.build)
app.command("show")(data_show.show)
app.command("sounds")(sounds)
app.command("sources")(data_sources.sources)
app.command("statistics")(data_statistics.statistics)


@app.callback()
def group() -> None:
    """Make, audit and look at training data."""


@app.command()
def compose(
    recordings: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDINGS", exists=True, help="A manifest.jsonl, or a folder with a folder for each label."
        ),
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="Output directory.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            exists=True,
            dir_okay=False,
            help="A .tsv or .csv that tells the sound of each label: label, keys, and optionally source and kind. "
            "Without it, each label or row of the manifest has to name the sound's key.",
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Keys of sounds that training must neither hear nor name, one per line.",
        ),
    ] = None,
    duplicates: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            exists=True,
            dir_okay=False,
            help="Files that hold the recording of another file: path and follows.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="Number of training scenes.")] = 14_000,
    development: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=MOST, help="Number of scenes from held-out recordings; 500 where there are any."
        ),
    ] = None,
    held_out_scenes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=MOST, help="Number of scenes with held-out sounds; 120 where there are any."
        ),
    ] = None,
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

    Writes scenes.jsonl, audio/, compose.json, train.jsonl, development.jsonl, held_out.jsonl and report.json. Run it
    again to resume a run that was stopped.

    For example: mellow data compose --labels labels.tsv recordings/ data/
    """
    from rich.console import Console

    from mellow.data.build import build
    from mellow.data.scenes.labels import Labelling
    from mellow.data.scenes.store import write_scenes

    show_logs(quiet=quiet)
    labelling = Labelling.read(labels=labels, held_out=held_out, duplicates=duplicates)
    with progress_bar() as progress:
        write_scenes(
            out_dir,
            recordings,
            labelling,
            count=count,
            development=development,
            held_out=held_out_scenes,
            seed=seed,
            workers=workers,
            progress=progress,
        )
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
