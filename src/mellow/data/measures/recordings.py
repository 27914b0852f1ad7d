"""Leakage across splits, by the recordings themselves: equal files, and near-duplicates by a small fingerprint."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import numpy as np

from mellow.audio import CED, load, log_mel
from mellow.data.measures.base import EXAMPLES, share
from mellow.data.measures.leakage import PAIRS
from mellow.data.records import Record, Split
from mellow.data.section import Section, Value
from mellow.data.tally import key_of
from mellow.errors import AudioError
from mellow.files import sha256

__all__ = ["Recordings", "fingerprint"]

log = logging.getLogger(__name__)

STEPS, BANDS = 64, 16  # of a fingerprint, whatever the clip's length
BITS = (STEPS - 1) * (BANDS - 1)
NEAR = 0.2  # share of bits that may differ; independent recordings differ in about half
SILENT = -70.0  # dBFS, below which a clip has no fingerprint
COMPARED = 4096  # fingerprints at once


class Recordings:
    """Hashes and fingerprints of the clips that are on disk, 160 bytes each; those that are not are counted.

    directory: where the paths of the records begin.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: set[int] = set()
        self._hashes: dict[Split, dict[str, str]] = defaultdict(dict)
        self._prints: dict[Split, dict[str, np.ndarray]] = defaultdict(dict)
        self._missing = self._broken = self._read = 0

    def observe(self, record: Record) -> None:
        for clip in record.audio:
            key = key_of(record.split, clip)
            if key not in self._seen:
                self._seen.add(key)
                self._add(record.split, clip)

    def _add(self, split: Split, clip: str) -> None:
        path = self._directory / clip
        if not path.is_file():
            self._missing += 1
            return
        self._read += 1
        self._hashes[split].setdefault(sha256(path), clip)
        try:
            made = fingerprint(load(path, CED.sample_rate).waveform_S)
        except AudioError as error:
            self._broken += 1
            log.warning("%s", error)
            return
        if made is not None:
            self._prints[split][clip] = made

    def sections(self) -> list[Section]:
        rows: dict[str, dict[str, Value]] = {}
        examples: list[str] = []
        for one, other in PAIRS:
            if not self._hashes[one] or not self._hashes[other]:
                continue
            equal = self._hashes[one].keys() & self._hashes[other].keys()
            near = _near(self._prints[other], self._prints[one])
            leaked = {self._hashes[other][digest] for digest in equal} | {clip for clip, _ in near}
            count = len(self._hashes[other])
            rows[f"{one} and {other}"] = {
                "clips": count,
                "equal files": len(equal),
                "near-duplicates": len(leaked) - len(equal),
                "share": share(len(leaked), count),
            }
            examples += [f"{clip} and {same}" for clip, same in near[:EXAMPLES]]
        note = (
            f"Of {len(self._seen):,} clips {self._read:,} are on disk ({self._missing:,} are not, {self._broken:,} "
            "cannot be read). Equal files have the same sha256; near-duplicates sound alike after another encoding or "
            "at another level."
        )
        title = "Recordings in two splits"
        return [Section("recordings", title, rows, frozenset({"share"}), note, tuple(examples[:EXAMPLES]))]


def fingerprint(waveform_S: np.ndarray) -> np.ndarray | None:
    """Bits of a clip at 16 kHz, packed: whether the step from band to band grows from one moment to the next.

    None for silence. After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (2002), for a whole clip.
    """
    if not len(waveform_S) or 10 * np.log10(np.mean(np.square(waveform_S, dtype=np.float64)) + 1e-12) < SILENT:
        return None
    mel_FM = log_mel(waveform_S, CED)
    mel_TM = np.stack([part.mean(axis=0) for part in np.array_split(mel_FM, STEPS) if len(part)])
    if len(mel_TM) < STEPS:  # shorter than 0.64 s
        return None
    bands_TB = mel_TM.reshape(STEPS, BANDS, -1).mean(axis=2)
    steps_TB = np.diff(np.diff(bands_TB, axis=1), axis=0)
    return np.packbits(steps_TB.reshape(-1) > 0)


def _near(asked: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """Clips whose fingerprint differs from a known one in at most a fifth of the bits, with that one."""
    if not asked or not known:
        return []
    known_KP, names = np.stack(list(known.values())), list(known)
    found = []
    for clip, bits_P in asked.items():
        best, nearest = NEAR * BITS + 1, -1
        for start in range(0, len(names), COMPARED):
            apart_K = np.bitwise_count(known_KP[start : start + COMPARED] ^ bits_P).sum(axis=1)
            place = int(np.argmin(apart_K))
            if apart_K[place] < best:
                best, nearest = int(apart_K[place]), start + place
        if nearest >= 0:
            found.append((clip, names[nearest]))
    return found
