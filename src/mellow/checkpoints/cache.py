"""The user's cache of models: prepared graphs and converted checkpoints, at most MOST_BYTES.

CACHE/models/NAME        a complete model directory; its modification time is that of its last use
CACHE/models/NAME.lock   held while it is made or removed
CACHE/models/.NAME.*     one that is being made, or was being made when its process was killed
CACHE/verified.json      which files were checked, and when (see `checkpoints.verified`)

CACHE is the platform's folder for caches (~/.cache/mellow on Linux), or MELLOW_CACHE. Beyond MOST_BYTES the least
recently used models are removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["MOST_BYTES", "Entry", "cache_folder", "entries", "models_folder", "touch"]

MOST_BYTES = 4 << 30  # six of Mellow v0, or some twenty of the bundled model


@dataclass(frozen=True)
class Entry:
    """A model in the cache. size: in bytes; used: time of the last use, in seconds since 1970."""

    path: Path
    size: int
    used: float

    @property
    def name(self) -> str:
        return self.path.name


def cache_folder() -> Path:
    """The folder of the cache; it may not exist yet."""
    named = os.environ.get("MELLOW_CACHE")
    return Path(named) if named else user_cache_path("mellow")


def models_folder() -> Path:
    """The folder of the models; it may not exist yet."""
    return cache_folder() / "models"


def touch(directory: Path) -> None:
    """Record that a model is used now, if the cache is writable."""
    with contextlib.suppress(OSError):
        os.utime(directory)


def entries() -> Sequence[Entry]:
    """The models in the cache, the last used first."""
    try:
        paths = [path for path in models_folder().iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    found = []
    for path in paths:
        with contextlib.suppress(OSError):  # removed meanwhile
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append(Entry(path, size, path.stat().st_mtime))
    return sorted(found, key=lambda entry: -entry.used)
