"""Opening graphs for ONNX Runtime: those of a directory, or those that were prepared in the cache before."""

from __future__ import annotations

import re
from pathlib import Path

from mellow.checkpoints.cache import models_folder, touch
from mellow.checkpoints.state import fingerprint
from mellow.config import ModelConfig
from mellow.engines.onnx.engine import OnnxEngine
from mellow.errors import ModelError

__all__ = ["default_precision", "entry_name", "open_exported", "open_prepared"]

VERSION = "4"  # to be raised whenever the same checkpoint becomes other graphs
LONGEST_NAME = 40  # characters


def default_precision(config: ModelConfig) -> str:
    """What `auto` means: int8 for adapter checkpoints, as measured (docs/log.md); full checkpoints stay exact."""
    return "int8" if config.files.get("base") else "fp32"


def open_exported(directory: Path, config: ModelConfig, *, dtype: str, threads: int | None) -> OnnxEngine:
    """The graphs that `mellow export` wrote; ModelError where their precision is not `dtype`, unless that is `auto`."""
    graphs = config.files["graphs"]
    found = graphs.get("precision") if isinstance(graphs, dict) else None
    if found and dtype not in ("auto", found):
        raise ModelError(f"The graphs {directory} are {found}, not {dtype}; export the model in {dtype}.")
    return OnnxEngine.load(directory, threads=threads)


def open_prepared(entry: str, *, threads: int | None) -> OnnxEngine | None:
    """The graphs of an entry of the cache; None where they are missing or incomplete."""
    made = models_folder() / entry
    if not made.is_dir():
        return None
    try:
        engine = OnnxEngine.load(made, threads=threads)
    except (ModelError, OSError):
        return None
    touch(made)
    return engine


def entry_name(directory: Path, config: ModelConfig, *, precision: str) -> str:
    """The name of a model's graphs in the cache: the same for the same files and precision."""
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", directory.resolve().name)[:LONGEST_NAME].lstrip(".")
    return f"{stem}-{precision}-{fingerprint(directory, config, precision, VERSION)[:16]}"
