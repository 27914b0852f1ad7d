"""`mellow data`: training data from labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import show_logs

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
    from mellow.data.build import build
    from mellow.data.store import write_scenes

    show_logs()
    write_scenes(out_dir, manifest, count=count, development=development, seed=seed, held_out=held_out, workers=workers)
    build(out_dir, per_scene=per_scene, pairs=pairs, word_only=word_only, seed=seed)
    typer.echo(f"The examples lie in {out_dir}; name {out_dir / 'train.jsonl'} in a recipe to train on them.")
