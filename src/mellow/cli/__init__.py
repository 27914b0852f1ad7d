"""The command line: one module per command, and what they share.

`main` is all that is imported at the start, so that even an early Ctrl-C prints one word and no traceback.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTED", "exits_at_once", "main"]

INTERRUPTED = 130  # exit code: 128 + SIGINT, as shells count


@contextmanager
def exits_at_once() -> Iterator[None]:
    """Ctrl-C ends the process inside, without tidying up: for imports, some of which swallow KeyboardInterrupt."""
    try:
        is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not ignored, as by nohup
        if is_ours:
            signal.signal(signal.SIGINT, _exit)
    except ValueError:  # in another thread
        is_ours = False
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(*_: object) -> None:
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(INTERRUPTED)


def main() -> None:
    """The entry point `mellow`."""
    with exits_at_once():
        from mellow.cli.commands import command
        from mellow.cli.console import prepare_streams

        prepare_streams()
        run = command()
    try:
        run(prog_name="mellow")
    finally:  # all is said and done; an interrupt while Python ends shall not print a traceback
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
