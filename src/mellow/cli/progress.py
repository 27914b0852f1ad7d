"""Progress bars: what library code reports to its callback, drawn on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mellow.cli.console import is_drawn
from mellow.progress import Progress, silent

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(*, patience: float = 0.0) -> Iterator[Progress]:
    """A progress callback that draws one bar on stderr, or nothing where that is not a terminal.

    patience: seconds that pass before it is drawn, for what is mostly over by then.
    """
    if not is_drawn():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    text = TextColumn("{task.description}", markup=False)  # brackets in file names are text
    bars = Bars(
        text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )
    tasks: dict[str, TaskID] = {}
    began = time.monotonic()

    def draw(step: str, done: int, total: int) -> None:
        name, _, detail = step.partition(": ")  # the loss of a training run changes, the step is the same
        if name not in tasks:
            for finished in tasks.values():
                bars.update(finished, visible=False)
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done, total=total, description=f"{name} {detail}".strip())
        if not bars.live.is_started and time.monotonic() - began >= patience:
            bars.start()

    try:
        yield draw
    finally:
        if bars.live.is_started:
            bars.stop()
