"""Putting models into the cache and removing them, one process at a time for each."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from mellow.checkpoints.cache import MOST_BYTES, Entry, entries, models_folder, touch
from mellow.files import PARTIAL, partial_path

__all__ = ["obtain", "remove", "sweep"]


def obtain(name: str, make: Callable[[Path], object], *, is_sound: Callable[[Path], bool]) -> Path:
    """The directory of a model in the cache, made if it is missing or damaged.

    make: writes the directory it is given, completely or not at all. Processes that need the same model wait for one.
    Raises OSError where the cache cannot be written.
    """
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    directory = folder / name
    with FileLock(_lock(directory)):
        if not is_sound(directory):
            _delete(directory)
            make(directory)
        touch(directory)
    _trim(kept=name)
    return directory


def remove(found: Sequence[Entry]) -> Sequence[Entry]:
    """Remove models; returns those that another process uses, or that cannot be removed."""
    busy = []
    for entry in found:
        try:
            with FileLock(_lock(entry.path), timeout=0):
                _delete(entry.path)
        except (Timeout, OSError):
            busy.append(entry)
    return busy


def sweep() -> None:
    """Remove incomplete directories of killed processes."""
    for path in models_folder().glob(f".*{PARTIAL}"):
        name = path.name[1:].rsplit(".", 2)[0]  # of `partial_path`
        with contextlib.suppress(Timeout, OSError), FileLock(_lock(path.with_name(name)), timeout=0):
            shutil.rmtree(path, ignore_errors=True)


def _trim(*, kept: str) -> None:
    """Remove incomplete directories, then the least recently used models until the cache is small enough."""
    sweep()
    found = list(entries())
    total = sum(entry.size for entry in found)
    while total > MOST_BYTES and found:
        oldest = found.pop()
        if oldest.name != kept and not remove([oldest]):
            total -= oldest.size


def _delete(directory: Path) -> None:
    """Remove a directory at once, or, where Windows has one of its files in use, not at all."""
    if directory.is_dir():
        gone = partial_path(directory)
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(directory, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _lock(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")
