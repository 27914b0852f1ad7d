"""Counting distinct things by the million: 16 bytes for each, whatever it is."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np

__all__ = ["Tally", "key_of"]

BLOCK = 1 << 18  # keys that wait before they are merged


def key_of(*texts: str) -> int:
    """64 bits for texts; among a million different ones the chance of any two alike is 1 in 40 million."""
    return int.from_bytes(hashlib.blake2b("\0".join(texts).encode(errors="replace"), digest_size=8).digest(), "little")


class Tally:
    """How often each 64-bit key was added."""

    def __init__(self) -> None:
        self._waiting = array("Q")
        self._keys = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)

    def add(self, key: int) -> None:
        self._waiting.append(key)
        if len(self._waiting) >= max(BLOCK, len(self._keys)):  # so that all merges together take linear time
            self._merge()

    def _merge(self) -> None:
        if not self._waiting:
            return
        keys = np.concatenate([self._keys, np.frombuffer(self._waiting, np.uint64)])
        counts = np.concatenate([self._counts, np.ones(len(self._waiting), np.int64)])
        self._keys, where = np.unique(keys, return_inverse=True)
        self._counts = np.bincount(where, counts, len(self._keys)).astype(np.int64)
        self._waiting = array("Q")

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct keys in ascending order, and how often each was added."""
        self._merge()
        return self._keys, self._counts

    def total(self) -> int:
        return int(self.counts()[1].sum())

    def __len__(self) -> int:
        """Number of distinct keys."""
        return len(self.counts()[0])
