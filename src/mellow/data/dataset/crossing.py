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
    """Collects which clips are in which splits; two names of equal content are one clip."""

    def __init__(self) -> None:
        self._splits: dict[str, int] = {}
        self._paths: dict[str, str] = {}
        self._same: dict[str, bytes] = {}  # content of a clip that was hashed
        self._contents: dict[bytes, int] = {}

    def add(self, record: Record) -> None:
        for name in record.audio:
            key = clip_key(name)
            self._splits[key] = self._splits.get(key, 0) | BITS[record.split]
            self._paths.setdefault(key, name)

    def hash(self, audio: AudioRoot, *, progress: Progress = silent) -> None:
        """Read every clip that is on disk."""
        for key, name in tracked(self._paths.items(), "Comparing clips", progress):
            content = _digest(audio.root / name)
            if content is not None:
                self._same[key] = content
                self._contents[content] = self._contents.get(content, 0) | self._splits[key]

    def reason(self, record: Record) -> str | None:
        """Where a clip of this record is, in a split that is more held out than its own."""
        for name in record.audio:
            splits = self._of(clip_key(name))
            if splits >= 2 * BITS[record.split]:
                return f"its audio is in {'test' if splits & BITS['test'] else 'val'}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Clips by the splits that share them, by name and by content; `hashed`: how many were read for the latter."""
        return {
            "by_name": _combinations(self._splits.values()),
            "by_content": _combinations(self._contents.values()) if self._same else None,
            "hashed": len(self._same),
            "examples": sorted(self._paths[key] for key, splits in self._splits.items() if splits.bit_count() > 1)[:5],
        }

    def _of(self, key: str) -> int:
        content = self._same.get(key)
        return self._splits.get(key, 0) | (self._contents[content] if content is not None else 0)


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
