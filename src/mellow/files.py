"""Atomic writes of files and directories, and sha256 sums of files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mellow.errors import ModelError

__all__ = ["PARTIAL", "UnwritableError", "new_directory", "partial_path", "record", "replace_file", "sha256", "sync"]

PARTIAL = ".part"  # the end of names of what is half-made
HASHED_AT_ONCE = 1 << 20


class UnwritableError(ModelError):
    """A model's directory cannot be written where it was wanted; nothing is wrong with the model."""


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def record(path: Path) -> dict[str, int | str]:
    """What a config tells of a file, by which it is known again: its bytes and sha256."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def partial_path(path: Path) -> Path:
    """Where this process makes, or removes, the directory `path`: `.NAME.PID.part` beside it."""
    return path.parent / f".{path.name}.{os.getpid()}{PARTIAL}"


def sync(path: Path) -> None:
    """Wait until a file or directory is on disk; Windows knows no such thing of directories."""
    if path.is_dir():
        if os.name == "nt":
            return
        handle = os.open(path, os.O_RDONLY)
    else:
        handle = os.open(path, os.O_RDWR)  # Windows syncs none that is only read
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replace_file(path: str | Path) -> Iterator[TextIO]:
    """A text file that becomes `path` at the end, synced; after an error or a kill the old one, or none, is there."""
    path = Path(path)
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise UnwritableError(f"The file {path} cannot be written ({error.strerror or error}).") from None
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside `path`, whose files are synced; it becomes `path` at the end, or vanishes.

    Raises ModelError where `path` exists already (an empty directory does not count), UnwritableError where it cannot
    be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ModelError(f"The path {path} exists already; give a new directory.")
    partial = partial_path(path)
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had the same number
        partial.mkdir(parents=True)
        yield partial
        for file in [*partial.iterdir(), partial]:
            sync(file)
        if path.is_dir():
            path.rmdir()
        os.replace(partial, path)
    except OSError as error:
        raise UnwritableError(f"The directory {path} cannot be written ({error.strerror or error}).") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
