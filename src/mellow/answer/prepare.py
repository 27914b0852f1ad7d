"""Checkpoints to graphs, once: in the user's cache, or in memory where no cache can be written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mellow.checkpoints.obtain import obtain
from mellow.checkpoints.state import open_state
from mellow.config import ModelConfig
from mellow.engines.onnx.directory import GraphDirectory
from mellow.engines.onnx.engine import OnnxEngine
from mellow.errors import ModelError
from mellow.files import UnwritableError
from mellow.graphs.write import write_graphs
from mellow.progress import Progress, silent

__all__ = ["prepare"]

log = logging.getLogger(__name__)


def prepare(
    directory: Path,
    config: ModelConfig,
    *,
    entry: str,
    precision: str,
    threads: int | None,
    progress: Progress = silent,
) -> OnnxEngine:
    """Write the graphs of a checkpoint, adapters merged, in a precision, and open them.

    entry: its name in the cache; progress: called with each tensor.
    Raises ModelError naming the file that is missing, damaged or incompatible.
    """
    state = open_state(directory, config, verify=True)
    tokenizer = (directory / "tokenizer.json").read_bytes()

    def make(target: Path) -> None:
        log.info("Preparing %s for this computer (%s); it is kept in %s.", directory.name, precision, target)
        watched = _Watched(state, progress)
        write_graphs(target, config=config, state=watched, tokenizer=tokenizer, precision=precision)

    try:
        return OnnxEngine.load(obtain(entry, make, is_sound=_is_sound), threads=threads)
    except (OSError, UnwritableError) as error:
        log.warning(
            "The cache cannot be used (%s), so %s is prepared in memory, each time it is loaded.", error, directory.name
        )
        return OnnxEngine.of(config, _Watched(state, progress), precision=precision, threads=threads)


def _is_sound(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    try:
        GraphDirectory.open(directory, verify=True)
    except ModelError as error:
        log.warning("%s It is prepared again.", error)
        return False
    return True


class _Watched(Mapping[str, np.ndarray]):
    """A state that reports how many of its tensors were read."""

    def __init__(self, state: Mapping[str, np.ndarray], progress: Progress) -> None:
        self.state, self.progress = state, progress
        self.asked = 0

    def __getitem__(self, name: str) -> np.ndarray:
        self.progress("preparing the model", min(self.asked, len(self.state)), len(self.state))
        self.asked += 1
        return self.state[name]

    def __contains__(self, name: object) -> bool:
        return name in self.state

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)
