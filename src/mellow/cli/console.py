"""What the commands share: standard streams, text that is safe to print, notices, and errors of one sentence."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from mellow.cli import INTERRUPTED
from mellow.errors import MellowError

__all__ = ["Guarded", "Quiet", "command_error", "finite", "is_drawn", "prepare_streams", "printable", "say", "sentence"]
__all__ += ["show_logs", "waiting"]

FAILED = 1
BAD_INPUT = 2
LONGEST_SENTENCE = 600  # characters; a file name or a model name may be of any length
LONG_WORD = re.compile(r"(\w{40})\w{60,}(\w{20})")
TRAIN = "accelerate gguf huggingface_hub onnx peft pydantic sklearn torch transformers yaml"
EXTRAS = dict.fromkeys(TRAIN.split(), "train") | {"openai": "synthesis"}
UsageError = typer.BadParameter.__bases__[0]  # typer has carried its own copy of click since 0.2x
ClickError = UsageError.__bases__[0]
log = logging.getLogger("mellow")

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the result: no progress, no notices; errors are printed.")
]


# --- streams ----------------------------------------------------------------------------------------------------------


def prepare_streams() -> None:
    """Make standard output and error writable in any environment.

    A closed one leads nowhere from here on: else the next file that is opened takes its place, and what a C library
    prints lands in that file. A terminal that lacks a character shows its code. Closed input stays None.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _settle(stream: Any) -> None:
    """A stream that cannot be written (a reader that has gone) leads nowhere: else Python complains at its end."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# --- text -------------------------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Text without control characters but newlines and tabs: safe to show on a terminal, whoever wrote it."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def sentence(text: str) -> str:
    """An error's text as one line that starts with a capital, ends with a full stop and is not endless."""
    line = LONG_WORD.sub(r"\1...\2", printable(" ".join(text.split())))
    if len(line) > LONGEST_SENTENCE:
        line = f"{line[: LONGEST_SENTENCE - 120]}...{line[-100:]}"
    if line.partition(" ")[0].isalpha():  # not a path or an option
        line = line[:1].upper() + line[1:]
    return line + ("" if line.endswith((".", "?", "!")) else ".")


def say(text: str, *, end: str = "\n") -> None:
    """Print to standard output, without control characters; an OSError of it bears its name."""
    try:
        typer.echo(f"{printable(text)}{end}", nl=False)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def finite(number: float | None) -> float | None:
    """Callback of options: ranges let `nan` and `inf` through."""
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not a finite number.")
    return number


# --- notices ----------------------------------------------------------------------------------------------------------


class Lines(logging.Handler):
    """Shows what is logged as plain lines on whatever is stderr at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(printable(self.format(record)), err=True)


def show_logs(*, quiet: bool = False) -> None:
    """Show our log messages as plain lines on stderr; quiet: only errors."""
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    if not any(isinstance(handler, Lines) for handler in log.handlers):
        log.addHandler(Lines())


def is_drawn() -> bool:
    """Whether spinners and bars are drawn: on a terminal that can move its cursor, and not with --quiet."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and log.isEnabledFor(logging.INFO)


def waiting(text: str) -> AbstractContextManager[Any]:
    """A spinner on stderr, where such is drawn; its `update` changes the text."""
    if not is_drawn():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


# --- errors -----------------------------------------------------------------------------------------------------------


def command_error(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error: 2 where the input was invalid, 1 for all else."""
    if isinstance(error, ClickError):
        return _usage_error(error)
    if isinstance(error, MellowError):
        return str(error), BAD_INPUT
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f"This needs the package {error.name!r}; install it with: pip install 'mellow-audio[{extra}]'", BAD_INPUT
    if isinstance(error, OSError) and error.strerror:
        what = f"{os.fsdecode(error.filename)!r} cannot be used" if error.filename else "Reading or writing failed"
        return f"{what} ({error.strerror})", FAILED
    what = f"{type(error).__name__}: {error}"
    return f"Something unexpected happened ({what}); set MELLOW_DEBUG=1 to see where, and report it", FAILED


def _usage_error(error: Any) -> tuple[str, int]:
    """The sentence for a wrong command line; a file whose name begins with a dash is the likely cause where it is."""
    option = getattr(error, "option_name", None)
    if option and (named := next((word for word in sys.argv[1:] if _is_dashed_file(word)), None)):
        return f"{option!r} is not an option; name the file {named!r} as './{named}'", error.exit_code
    command = getattr(getattr(error, "ctx", None), "command_path", None)
    help_hint = f" (see '{command} --help')" if command else ""
    return f"{error.format_message().rstrip('. ')}{help_hint}", error.exit_code


def _is_dashed_file(word: str) -> bool:
    return word.startswith("-") and word != "-" and os.path.isfile(word)


class Guarded(TyperGroup):
    """A command group in which every error ends in one sentence on stderr and an exit code, never in a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of our output has gone, as `head` does
            self._end("", FAILED)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:
            text, code = command_error(error)
            if code == FAILED and os.environ.get("MELLOW_DEBUG") == "1":
                raise
            self._end(f"Error: {sentence(text)}\n", code)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this code
            self._end("Interrupted.\n", code)
        if not standalone_mode:
            return code
        sys.exit(code or 0)

    @staticmethod
    def _end(text: str, code: int) -> NoReturn:
        with contextlib.suppress(OSError):  # nobody reads it
            typer.echo(text, err=True, nl=False)
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)
        sys.exit(code)
