"""The command line: `mellow ask`, `base`, `cache`, `convert`, `data`, `doctor`, `export`, `train`, each in its file.

Commands import what they need when they run, so that `mellow --help` and a wrong argument answer at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import mellow
from mellow.cli import ask, base, cache, convert, data, doctor, export, train
from mellow.cli.console import Guarded

__all__ = ["app", "main"]

app = typer.Typer(
    name="mellow",
    cls=Guarded,
    help="A small audio language model: listens to one or two clips, reads a question, answers in text.",
    rich_markup_mode=None,  # brackets in file names and help are text
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("ask")(ask.ask)
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
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"mellow {mellow.__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """The entry point `mellow`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character shows its code
    app(prog_name="mellow")
