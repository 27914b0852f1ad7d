"""Two-part models made into graphs, once: into the user's cache, or in memory where no cache can be written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mellow.errors import ModelError
from mellow.runtime.directory import GraphDirectory
from mellow.runtime.engine import OnnxEngine
from mellow.runtime.write import write_graphs
from mellow.stored.files import UnwritableError
from mellow.stored.filling import obtain
from mellow.stored.settings import ELSEWHERE
from mellow.stored.shapes import check_shapes
from mellow.stored.two_part import TwoPartState

__all__ = ["merge"]

PATIENCE = 2.0  # seconds without a bar


def merge(
    directory: Path, settings: Mapping[str, Any], *, entry: str, precision: str, threads: int | None
) -> OnnxEngine:
    """Merge base and adapters of a two-part model, quantise them, and open what came of it.

    settings: its config.json; entry: its name in the cache.
    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    state = TwoPartState.open(directory, settings, verify=True)
    check_shapes(state.shapes, settings, what=f"The model {directory}")
    config = {name: setting for name, setting in settings.items() if name not in ELSEWHERE}
    tokenizer = (directory / "tokenizer.json").read_bytes()

    def make(target: Path) -> None:
        _tell(f"Preparing {directory.name} for this computer ({precision}); it is kept in {target}.")
        with _Watched(state) as watched:
            write_graphs(target, config=config, state=watched, tokenizer=tokenizer, precision=precision)

    try:
        return OnnxEngine.load(obtain(entry, make, is_sound=_is_sound), threads=threads)
    except (OSError, UnwritableError) as error:
        _tell(f"The cache cannot be used ({error}), so {directory.name} is prepared in memory, each time anew.")
        with _Watched(state) as watched:
            return OnnxEngine.of(config, watched, precision=precision, threads=threads)


def _is_sound(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    try:
        GraphDirectory.open(directory, verify=True)
    except ModelError as error:
        _tell(f"{error} It is made again.")
        return False
    return True


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Watched(Mapping[str, np.ndarray]):
    """A state that shows on a terminal how much of it was asked for, if that takes longer than PATIENCE."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self.state = state
        self.began = time.perf_counter()
        self.progress = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self.task = self.progress.add_task("", total=len(state))

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.progress.live.is_started:
            self.progress.stop()

    def __getitem__(self, name: str) -> np.ndarray:
        if time.perf_counter() - self.began > PATIENCE and not self.progress.live.is_started:
            self.progress.start()
        self.progress.advance(self.task)
        return self.state[name]

    def __contains__(self, name: object) -> bool:
        return name in self.state

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)
