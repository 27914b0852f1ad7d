"""`mellow train`: a model from a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import show_logs
from mellow.cli.progress import progress_bar

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file such as recipes/mini.yaml.")],
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", min=0.1, help="Stop, with a checkpoint, after this long; the same command goes on."),
    ] = None,
) -> None:
    """Train a model by a recipe, or go on where a run was stopped."""
    from mellow.train.recipe import read_recipe

    settings = read_recipe(recipe)  # a wrong recipe is told before torch is loaded
    from mellow.train.run import train as run

    show_logs()
    with progress_bar() as progress:
        directory = run(settings, minutes=minutes, progress=progress)
    typer.echo(f"The model lies in {directory}.")
    typer.echo(f'Ask it: mellow ask --model {shlex.quote(str(directory))} CLIP "What sound is this?"')
