"""`mellow train`: a model from a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import Quiet, finite, say, show_logs
from mellow.cli.progress import progress_bar

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file such as recipes/mini/1.yaml.")],
    minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            min=0.1,
            callback=finite,
            help="Save a checkpoint and stop after M minutes; run again to resume.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model from a recipe, or resume a run that was stopped."""
    from mellow.train.recipe import read_recipe

    settings = read_recipe(recipe)  # errors in the recipe before torch is loaded
    from mellow.train.run import train as run

    show_logs(quiet=quiet)
    with progress_bar() as progress:
        directory = run(settings, minutes=minutes, progress=progress)
    say(f"Wrote the model to {directory}.")
    say(f'Try it: mellow ask --model {shlex.quote(str(directory))} CLIP "What sound is this?"')
