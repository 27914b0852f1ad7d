"""`mellow cache`: the models that were prepared or converted once, and where they are."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import Annotated

import typer

from mellow.cli.console import say
from mellow.errors import ModelError

__all__ = ["app"]

app = typer.Typer(help="List or remove prepared and converted models.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """List or remove prepared and converted models."""


@app.command("list")
def show() -> None:
    """List the models in the cache: name, size, date of last use.

    Beyond 4 GiB, the least recently used models are removed automatically. Set MELLOW_CACHE to use another directory.
    """
    from mellow.checkpoints.cache import entries, models_folder

    found = entries()
    for entry in found:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used))
        say(f"{entry.name:40}  {entry.size / 1e6:7.1f} MB  {day}")
    say(f"{count(found)}, {sum(entry.size for entry in found) / 1e6:.1f} MB, in {models_folder()}")


@app.command()
def clear(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models to remove; all if none is named.")
    ] = None,
) -> None:
    """Remove models from the cache; they are prepared again when needed."""
    from mellow.checkpoints.cache import entries
    from mellow.checkpoints.obtain import remove, sweep

    found = {entry.name: entry for entry in entries()}
    unknown = [name for name in names or () if name not in found]
    if unknown:
        raise ModelError(f"The cache has no model {unknown[0]!r}; 'mellow cache list' shows those it has.")
    chosen = [found[name] for name in dict.fromkeys(names or found)]
    busy = remove(chosen)
    sweep()
    freed = sum(entry.size for entry in chosen if entry not in busy)
    say(f"{count(chosen, but=busy)} removed, {freed / 1e6:.1f} MB.")
    if busy:
        raise ModelError(f"Another process is using {', '.join(entry.name for entry in busy)}; try again later.")


def count(found: Sized, *, but: Sized = ()) -> str:
    number = len(found) - len(but)
    return f"{number} model{'' if number == 1 else 's'}"
