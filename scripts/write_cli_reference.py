"""Write docs/cli.md from the command line's own declarations; with --check, only say whether it is up to date.

The text is made from the parameters, not from typer's help, so that it is the same under every version of typer.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from generated import write_or_check

from mellow.cli.commands import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 100
HEADER = "# The command line\n\nWritten by `scripts/write_cli_reference.py`; do not edit.\n"


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [HEADER, *(section(path, command) for path, command in commands("mellow", typer.main.get_command(app)))]
    )


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups in front of what they hold; groups without options are left out."""
    inner = getattr(command, "commands", {})
    if not inner or command.params:
        yield path, command
    for name, found in sorted(inner.items()):
        yield from commands(f"{path} {name}", found)


def section(path: str, command: Any) -> str:
    """One command: what it does, then usage, arguments and options as plain text."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    words = [part.metavar if part.required or " " in part.metavar else f"[{part.metavar}]" for part in arguments]
    usage = [path, *(["COMMAND"] if hasattr(command, "commands") else words), *(["[OPTIONS]"] if options else [])]
    lines = [" ".join(usage), ""]
    lines += [line for part in arguments for line in entry(part.metavar, part)]
    lines += [line for part in options for line in entry(option_name(part), part)]
    text = inspect.cleandoc(command.help or "")
    return f"## {path}\n\n{text}\n\n```text\n" + "\n".join(lines) + "\n```\n"


def option_name(option: Any) -> str:
    names = ", ".join([*option.secondary_opts, *option.opts])
    return f"{names} {option.metavar}" if option.metavar else names


def entry(name: str, parameter: Any) -> list[str]:
    """A parameter's name on a line, its help below it."""
    shown = parameter.default is not None and parameter.default is not False and not parameter.required
    default = f" (default: {getattr(parameter.default, 'value', parameter.default)})" if shown else ""
    text = f"{parameter.help or ''}{default}"
    return [f"  {name}", *textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def main() -> int:
    return write_or_check(TARGET, reference())


if __name__ == "__main__":
    sys.exit(main())
