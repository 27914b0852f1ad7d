"""Opening what ONNX Runtime answers with: a directory of graphs, or those that were made of a two-part model before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellow.errors import ModelError
from mellow.runtime.engine import OnnxEngine
from mellow.stored.base import find_base, fingerprint
from mellow.stored.cache import models_folder, touch
from mellow.text.heard import HeardWords

__all__ = ["DEFAULT_PRECISION", "check_parts", "entry_name", "open_exported", "open_prepared"]

DEFAULT_PRECISION = "int8"  # three times as fast as int4 in reading, and nearer to float32 (docs/log.md)
VERSION = "4"  # goes up whenever equal parts become other graphs
LONGEST_NAME = 40  # characters


def open_exported(directory: Path, settings: Mapping[str, Any], *, dtype: str, threads: int | None) -> OnnxEngine:
    """The graphs that `mellow export` wrote; ModelError where they are in another precision than `dtype` or `auto`."""
    graphs = settings["graphs"]
    found = graphs.get("precision") if isinstance(graphs, dict) else None
    if found and dtype not in ("auto", found):
        raise ModelError(f"The graphs {directory} are {found}, not {dtype}; export the model in {dtype}.")
    return OnnxEngine.load(directory, threads=threads)


def open_prepared(entry: str, *, threads: int | None) -> OnnxEngine | None:
    """The graphs of an entry of the cache; None where they are not there, or not whole."""
    made = models_folder() / entry
    if not made.is_dir():
        return None
    try:
        engine = OnnxEngine.load(made, threads=threads)
    except (ModelError, OSError):
        return None
    touch(made)
    return engine


def entry_name(directory: Path, *, precision: str) -> str:
    """The name of a two-part model's graphs in the cache; equal parts in equal precision have one name."""
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", directory.resolve().name)[:LONGEST_NAME].lstrip(".")
    return f"{stem}-{precision}-{fingerprint(directory, precision, VERSION)[:16]}"


def check_parts(directory: Path, settings: Mapping[str, Any]) -> None:
    """Raise ModelError for a base that is missing or of another size, or impossible settings of heard words."""
    find_base(directory, settings, verify=False)
    if settings.get("heard"):
        try:
            HeardWords.from_dict(settings["heard"])
        except TypeError as error:
            raise ModelError(f"The model {directory} has an impossible config of heard words ({error}).") from None
