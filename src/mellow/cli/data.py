"""`mellow data`: training data from labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import Quiet, finite, say, show_logs

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
    from mellow.data.build import build
    from mellow.data.store import write_scenes

    show_logs(quiet=quiet)
    write_scenes(out_dir, manifest, count=count, development=development, seed=seed, held_out=held_out, workers=workers)
    build(out_dir, per_scene=per_scene, pairs=pairs, word_only=word_only, seed=seed)
    examples = out_dir / "train.jsonl"
    say(f"Wrote the examples to {out_dir}; to train on them, set data.examples in a recipe to {examples}.")
