"""`mellow doctor`: one page about this installation, for a bug report."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mellow.cli.console import printable

__all__ = ["doctor"]

FAILED = 1  # exit code


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the page as one JSON object.")] = False,
) -> None:
    """Print what a bug report needs: versions, cache, model files, CPU, telemetry and a self-test.

    Ends with code 1 where a check fails. Your home directory is written as ~; nothing is sent anywhere.
    """
    from mellow.doctor import examine

    report = examine()
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        for section, found in report.facts.items():
            typer.echo(section)
            for name, fact in found.items():
                typer.echo(printable(f"  {name:24} {fact}"))
        typer.echo("checks")
        for check in report.checks:
            typer.echo(printable(f"  {check.name:24} {'ok' if check.passed else 'FAILED'}  {check.found}"))
    if not report.passed:
        raise typer.Exit(FAILED)
