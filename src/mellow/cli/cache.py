"""`mellow cache`: the models that were prepared or converted once, and where they lie."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from mellow.errors import ModelError

__all__ = ["app"]

app = typer.Typer(help="The models that were prepared or converted once.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """The models that were prepared or converted once."""


@app.command("list")
def show() -> None:
    """List the models in the cache: name, size, day of the last use.

    Models beyond 4 GiB are removed by themselves, those not used for longest first. MELLOW_CACHE names another folder.
    """
    from mellow.stored.cache import entries, models_folder

    found = entries()
    for entry in found:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used))
        typer.echo(f"{entry.name:40}  {entry.size / 1e6:7.1f} MB  {day}")
    typer.echo(f"{len(found)} models, {sum(entry.size for entry in found) / 1e6:.1f} MB, in {models_folder()}")


@app.command()
def clear(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models to remove; all of them without a name.")
    ] = None,
) -> None:
    """Remove models from the cache; they are made again when they are needed."""
    from mellow.stored.cache import entries
    from mellow.stored.filling import remove, sweep

    found = {entry.name: entry for entry in entries()}
    unknown = [name for name in names or () if name not in found]
    if unknown:
        raise ModelError(f"The cache has no model {unknown[0]!r}; 'mellow cache list' shows those it has.")
    chosen = [found[name] for name in dict.fromkeys(names or found)]
    busy = remove(chosen)
    sweep()
    freed = sum(entry.size for entry in chosen if entry not in busy)
    typer.echo(f"{len(chosen) - len(busy)} models removed, {freed / 1e6:.1f} MB.")
    if busy:
        raise ModelError(f"Another process is at work on {', '.join(entry.name for entry in busy)}; try again later.")
