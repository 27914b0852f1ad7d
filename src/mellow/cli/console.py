"""What the commands share: text that is safe to print, and the command group that ends in one sentence."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from mellow.errors import MellowError

__all__ = ["Guarded", "command_error", "printable", "sentence", "show_logs"]

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
LONGEST_SENTENCE = 600  # characters; a file name or a model name may be of any length
TRAIN = "accelerate gguf huggingface_hub onnx peft pydantic sklearn torch transformers yaml"
EXTRAS = dict.fromkeys(TRAIN.split(), "train")
UsageError = typer.BadParameter.__bases__[0]  # typer has carried its own copy of click since 0.2x
ClickError = UsageError.__bases__[0]


def printable(text: str) -> str:
    """Text without control characters but newlines and tabs: what a terminal may be shown, whoever wrote it."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def sentence(text: str) -> str:
    """An error's text as one line that starts with a capital, ends with a full stop and is not endless."""
    line = printable(" ".join(text.split()))
    if len(line) > LONGEST_SENTENCE:
        line = f"{line[: LONGEST_SENTENCE - 120]}...{line[-100:]}"
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "?", "!")) else ".")


class Lines(logging.Handler):
    """Shows what is logged as plain lines on whatever is stderr at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(printable(self.format(record)), err=True)


def show_logs() -> None:
    """Show what our own packages log; of others, warnings are shown by themselves."""
    ours = logging.getLogger("mellow")
    ours.setLevel(logging.INFO)
    if not any(isinstance(handler, Lines) for handler in ours.handlers):
        ours.addHandler(Lines())


def command_error(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error: 2 where the user can mend it, 1 where we do not know."""
    if isinstance(error, ClickError):
        command = getattr(getattr(error, "ctx", None), "command_path", None)
        help_hint = f" (see '{command} --help')" if command else ""
        return f"{error.format_message().rstrip('. ')}{help_hint}", error.exit_code  # type: ignore[attr-defined]
    if isinstance(error, MellowError):
        return str(error), BAD_INPUT
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f"This needs the package {error.name!r}; install it with: pip install 'mellow-audio[{extra}]'", BAD_INPUT
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'}: {error.strerror}", FAILED
    what = f"{type(error).__name__}: {error}"
    return f"Something unexpected happened ({what}); set MELLOW_DEBUG=1 to see where, and report it", FAILED


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
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILED)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:
            text, code = command_error(error)
            if code == FAILED and os.environ.get("MELLOW_DEBUG") == "1":
                raise
            self._end(f"Error: {sentence(text)}", code)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this code
            self._end("Interrupted.", code)
        if not standalone_mode:
            return code
        sys.exit(code or 0)

    @staticmethod
    def _end(line: str, code: int) -> NoReturn:
        typer.echo(line, err=True)
        sys.exit(code)
