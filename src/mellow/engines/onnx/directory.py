"""A graph directory: its config, and its files, checked against their records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mellow.checkpoints.verified import check_contents, is_remembered, remember, stamps
from mellow.config import ModelConfig
from mellow.engines.onnx.foreign import check_graph
from mellow.errors import ModelError

__all__ = ["FILES", "GraphDirectory"]

CONFIG = "config.json"
GRAPHS = {"encoder.onnx": "encoder.weights", "decoder.onnx": "decoder.weights"}  # graph and its weights
FILES = {*GRAPHS, *GRAPHS.values(), "tokenizer.json"}
EMBEDDING_DTYPES = ("float32", "float16", "uint8", "int8")


@dataclass(frozen=True)
class GraphDirectory:
    """path: of the directory; config: the model's, with the records of the graphs."""

    path: Path
    config: ModelConfig

    @classmethod
    def open(cls, directory: str | Path, *, verify: bool = False) -> GraphDirectory:
        """Read and check a graph directory: its files are unchanged, and its graphs have only our operators.

        verify: check the content of the files even if that was done within a day (see `checkpoints.verified`).
        Raises ModelError naming the file that is missing, damaged or foreign.
        """
        path = Path(directory)
        config = ModelConfig.read(path)
        try:
            files = dict(config.files["graphs"]["files"])
        except (ValueError, KeyError, TypeError):
            raise ModelError(f"{path / CONFIG} records no graphs; make them with 'mellow export'.") from None
        found = cls(path, config)
        try:
            found._check_files(files, verify=verify)
            found.embedding()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(f"{path / CONFIG} is damaged ({reason}); export the model again.") from None
        return found

    def _check_files(self, files: Mapping[str, Mapping[str, Any]], *, verify: bool) -> None:
        if set(files) != FILES:
            wrong = ", ".join(sorted(set(files) ^ FILES))[:200]
            raise ModelError(f"{self.path / CONFIG} does not record exactly the files of a model ({wrong}).")
        folder = self.path.resolve()
        for name in sorted(FILES):
            file = self.path / name
            if not file.is_file():
                raise ModelError(f"The graphs {self.path} have no {name}; export the model again.")
            if file.resolve().parent != folder:
                raise ModelError(f"{file} is a link out of the directory; put the file itself there.")
        found = stamps(self.path, sorted({*FILES, CONFIG}))  # before they are read
        if not verify and is_remembered(self.path, found):
            return
        if self.config.content_sum() != self.config.files["graphs"].get("config"):
            raise ModelError(f"{self.path / CONFIG} is damaged: its content has changed; export the model again.")
        damaged = check_contents(self.path, files)
        if damaged:
            raise ModelError(f"{self.path / damaged} is damaged: its content has changed; export the model again.")
        for graph, weights in GRAPHS.items():
            check_graph(self.path / graph, {weights: int(files[weights]["bytes"])})
        remember(self.path, found)

    def embedding(self) -> dict[str, np.ndarray]:
        """The parts of the input embedding, memory-mapped from the decoder's weights."""
        places: dict[str, dict[str, Any]] = self.config.files["graphs"]["embedding"]
        file = self.path / "decoder.weights"
        size = file.stat().st_size
        parts: dict[str, np.ndarray] = {}
        for name, place in places.items():
            shape, offset = tuple(map(int, place["shape"])), int(place["offset"])
            if place["dtype"] not in EMBEDDING_DTYPES or min(*shape, offset) < 0:
                raise ValueError(f"the embedding's part {name[:80]!r} has an invalid shape or dtype")
            if offset + math.prod(shape) * np.dtype(place["dtype"]).itemsize > size:
                raise ValueError(f"the embedding's part {name[:80]!r} is not in decoder.weights")
            parts[name] = np.memmap(file, place["dtype"], "r", offset, shape)
        return parts
