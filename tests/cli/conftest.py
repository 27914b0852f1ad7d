"""Running the command line in this process, and judging what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from mellow.cli.commands import app

Run = Callable[..., Any]
Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def level_of_notices() -> Iterator[None]:
    """What commands set it to, or --quiet, is not for the next test."""
    before = logging.getLogger("mellow").level
    yield
    logging.getLogger("mellow").setLevel(before)


@pytest.fixture(scope="session")
def run() -> Run:
    """`run("ask", clip, "What is it?")`: the result with exit_code, stdout and stderr."""

    def invoke(*words: object, stdin: bytes = b"") -> Any:
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin, prog_name="mellow")

    return invoke


@pytest.fixture(scope="session")
def refusal(run: Run) -> Refusal:
    """Run a command that must fail with exit code 2, nothing on stdout and one sentence on stderr; the sentence."""

    def refuse(*words: object, stdin: bytes = b"") -> str:
        result = run(*words, stdin=stdin)
        assert result.exit_code == 2, (result.exit_code, result.stdout, result.stderr)
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.endswith(".\n")
        assert result.stderr.count("\n") == 1
        return str(result.stderr).removeprefix("Error: ").rstrip("\n")

    return refuse
