"""Clips that are in more than one split, by name and, where they are on disk, by content."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mellow.data.records import Record, Split
from mellow.data.sources.audio import AudioRoot, clip_key
from mellow.progress import Progress, silent, tracked

__all__ = ["Crossing"]

BITS: dict[Split, int] = {"train": 1, "val": 2, "test": 4}  # the higher, the more held out


class Crossing:
    """Collects which clips are in which splits: clips of one name, wherever they lie, and files of equal content.

    Equal names need not be equal recordings; often they are parts of one, as `Bus(Drive_Reverse)_1-2.wav` in two splits
    of Clotho.
    """

    def __init__(self) -> None:
        self._names: dict[str, int] = {}  # what names of a clip have in common -> its splits
        self._paths: dict[str, int] = {}
        self._hashed: dict[str, bytes] = {}  # path -> content
        self._contents: dict[bytes, int] = {}

    def add(self, record: Record) -> None:
        for path in record.audio:
            for known, key in ((self._names, clip_key(path)), (self._paths, path)):
                known[key] = known.get(key, 0) | BITS[record.split]

    def hash(self, audio: AudioRoot, *, progress: Progress = silent) -> None:
        """Read every clip that is on disk."""
        for path, splits in tracked(self._paths.items(), "Comparing clips", progress):
            content = _digest(audio.root / path)
            if content is not None:
                self._hashed[path] = content
                self._contents[content] = self._contents.get(content, 0) | splits

    def reason(self, record: Record) -> str | None:
        """Where a clip of this record is, in a split that is more held out than its own."""
        for path in record.audio:
            splits = self._names.get(clip_key(path), 0)
            if path in self._hashed:
                splits |= self._contents[self._hashed[path]]
            if splits >= 2 * BITS[record.split]:
                return f"its audio is in {'test' if splits & BITS['test'] else 'val'}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Clips by the splits that share them, by name and by content; `hashed`: how many were read for the latter."""
        return {
            "by_name": _combinations(self._names.values()),
            "by_content": _combinations(self._contents.values()) if self._hashed else None,
            "hashed": len(self._hashed),
            "examples": sorted(name for name, splits in self._names.items() if splits.bit_count() > 1)[:5],
        }


def _combinations(masks: Iterable[int]) -> dict[str, int]:
    return dict(Counter("+".join(_names(mask)) for mask in masks if mask.bit_count() > 1))


def _names(mask: int) -> Iterator[str]:
    return (split for split, bit in BITS.items() if mask & bit)


def _digest(path: Path) -> bytes | None:
    """The first 16 bytes of a file's SHA-256, or None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()[:16]
    except OSError:
        return None
