"""`mellow data sounds`: the sound table, whose keys label recordings of one's own."""

from __future__ import annotations

from typing import Annotated

import typer

from mellow.cli.console import say

__all__ = ["sounds"]


def sounds(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Only sounds with this text in their key, name or category.")
    ] = None,
) -> None:
    """List the sounds that recordings can be labelled with: key, name and category, separated by tabs.

    For example: mellow data sounds dog
    """
    from mellow.data.scenes.phrases import sounds as table

    wanted = (text or "").casefold()
    found = [row for sound in table().values() if wanted in (row := f"{sound.key}\t{sound.name}\t{sound.category}")]
    if not found:
        raise typer.BadParameter(f"no sound has {text!r} in its key, name or category.", param_hint="TEXT")
    for row in found:
        say(row)
