"""All commands together, each of which has a file of its own.

Commands import what they need when they run, so that `mellow --help` and a wrong argument answer at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import mellow
from mellow.cli import ask, base, cache, convert, data, doctor, export, train
from mellow.cli.console import Guarded, say

__all__ = ["app", "command"]

app = typer.Typer(
    name="mellow",
    cls=Guarded,
    help="A small audio language model: listens to one or two clips, reads a question, answers in text.",
    epilog='Try: mellow ask siren.flac "What sound is this?"',
    rich_markup_mode=None,  # brackets in file names and help are text
    pretty_exceptions_enable=False,
)
app.command("ask", cls=ask.AskCommand)(ask.ask)
app.add_typer(base.app, name="base")
app.add_typer(cache.app, name="cache")
app.command("convert")(convert.convert)
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.doctor)
app.command("export")(export.export)
app.command("train")(train.train)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        say(f"mellow {mellow.__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


def command() -> Callable[..., object]:
    """What typer makes of all this: called, it runs the command that `sys.argv` names."""
    return typer.main.get_command(app)
