"""Checks of files by content: their sha256 once a day, in between their size, inode and times.

CACHE/verified.json records, for each directory, the size, inode and times of files whose content was correct. A file
that was written to or replaced has other times, and its content is checked again. Content that changes without the file
system, as on a failing disk, is noticed a day later at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mellow.checkpoints.cache import cache_folder
from mellow.files import PARTIAL, sha256

__all__ = ["Stamps", "check_contents", "is_remembered", "remember", "stamps"]

Stamps = dict[str, list[int]]  # by file: size, device, inode, time of the last writing, time of the last change

DAY_S = 24 * 60 * 60.0
FILE = "verified.json"


def check_contents(directory: Path, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the first file whose size or sha256 is not the recorded one; None where all are correct."""
    for name, recorded in files.items():
        path = directory / name
        if path.stat().st_size != recorded["bytes"] or sha256(path) != recorded["sha256"]:
            return name
    return None


def stamps(directory: Path, names: Sequence[str]) -> Stamps:
    """Facts that every write to a file changes; on Windows st_ctime is the time of creation and does not help."""
    found = {name: (directory / name).stat() for name in names}
    return {name: [s.st_size, s.st_dev, s.st_ino, s.st_mtime_ns, s.st_ctime_ns] for name, s in found.items()}


def is_remembered(directory: Path, found: Stamps) -> bool:
    """Whether files with these stamps were checked within a day."""
    known = _read().get(str(directory.resolve()))
    if not isinstance(known, dict) or not 0 <= time.time() - known.get("checked", 0) < DAY_S:
        return False
    return bool(known.get("files") == found)


def remember(directory: Path, found: Stamps) -> None:
    """Record that files with these stamps are correct, if the cache is writable; notes older than a day are dropped."""
    now = time.time()
    notes = {path: note for path, note in _read().items() if 0 <= now - note["checked"] < DAY_S}
    notes[str(directory.resolve())] = {"checked": now, "files": found}
    target = cache_folder() / FILE
    partial = target.with_name(f".{FILE}.{os.getpid()}{PARTIAL}")
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(notes), encoding="utf-8")
        os.replace(partial, target)


def _read() -> dict[str, dict[str, Any]]:
    try:
        notes = json.loads((cache_folder() / FILE).read_text(encoding="utf-8"))
        return {path: note for path, note in notes.items() if isinstance(note["checked"], float)}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}
