"""Near-duplicates by the million: MinHash signatures of texts, and pairs of signatures that agree."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np

from mellow.data.wording import words

__all__ = ["HASHES", "minhash", "nearest"]

HASHES = 32
BANDS = 8  # of four hashes each: texts whose shingles agree by 0.8 share a band with a probability of 0.985
CANDIDATES = 16  # of one text and band that are compared
NEAR = 0.8  # share of equal hashes, which estimates the Jaccard index of the shingles
_rng = np.random.default_rng(20250513)
FACTORS = _rng.integers(1, 1 << 63, HASHES, dtype=np.uint64) | np.uint64(1)
SHIFTS = _rng.integers(0, 1 << 63, HASHES, dtype=np.uint64)


def minhash(text: str) -> np.ndarray:
    """signature_H, uint32: of the words and the pairs of words of a text; texts without words have one of ones."""
    said = words(text)
    shingles = {*said, *map(" ".join, pairwise(said))}
    if not shingles:
        return np.full(HASHES, np.iinfo(np.uint32).max, np.uint32)
    hashes_N1 = np.fromiter((zlib.crc32(shingle.encode()) for shingle in shingles), np.uint64, len(shingles))[:, None]
    mixed_NH = (hashes_N1 * FACTORS + SHIFTS) >> np.uint64(32)
    signature_H: np.ndarray = mixed_NH.min(axis=0).astype(np.uint32)
    return signature_H


def nearest(asked_AH: np.ndarray, known_KH: np.ndarray) -> list[int | None]:
    """For each asked signature the place of a known one that agrees in 80 %, or None."""
    found: list[int | None] = [None] * len(asked_AH)
    if not len(asked_AH) or not len(known_KH):
        return found
    for band in range(BANDS):
        columns = slice(band * HASHES // BANDS, (band + 1) * HASHES // BANDS)
        known, asked = _bands(known_KH[:, columns]), _bands(asked_AH[:, columns])
        order = np.argsort(known, kind="stable")
        starts = np.searchsorted(known[order], asked, "left")
        ends = np.minimum(np.searchsorted(known[order], asked, "right"), starts + CANDIDATES)
        for place in np.flatnonzero(ends > starts):
            if found[place] is None:
                candidates = order[starts[place] : ends[place]]
                equal = (known_KH[candidates] == asked_AH[place]).mean(axis=1)
                best = int(np.argmax(equal))
                if equal[best] >= NEAR:
                    found[place] = int(candidates[best])
    return found


def _bands(hashes_NB: np.ndarray) -> np.ndarray:
    """One 64-bit key for the hashes of a band."""
    key_N: np.ndarray = np.zeros(len(hashes_NB), np.uint64)
    for column in hashes_NB.T:
        key_N = key_N * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
    return key_N
