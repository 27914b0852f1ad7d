"""The recordings of one manifest in memory, decoded when first asked for, and drawn fairly by sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mellow import audio
from mellow.data.scenes.scene import Recording
from mellow.data.scenes.signals import SAMPLE_RATE, Waveform, trim
from mellow.errors import DataError

__all__ = ["Pool"]

SHORTEST_S = 0.03  # a trimmed recording shorter than this holds nothing to hear
FULL_SCALE = 32767
DRAWS = 50  # attempts to find a usable recording before giving up


class Pool:
    """Recordings at 16 kHz, kept as int16 with their peak at full scale (all ten hours are 1.2 GB).

    folder: where the manifest lies, to which the recordings' paths are relative.
    """

    def __init__(self, folder: Path, recordings: Sequence[Recording]) -> None:
        self.folder = folder
        self.recordings = tuple(sorted(recordings, key=lambda recording: recording.path))
        self._decoded: dict[str, tuple[NDArray[np.int16], slice]] = {}
        self._groups = _by_sound(self.recordings)

    def whole_S(self, recording: Recording) -> Waveform:
        """The recording as it is, with peak 1 (zeros when it is silent)."""
        return _float(self._load(recording)[0])

    def trimmed_S(self, recording: Recording) -> Waveform:
        """The recording without what is 50 dB below its peak at the start and the end; empty when silent."""
        samples_S, part = self._load(recording)
        return _float(samples_S[part])

    def trimmed_seconds(self, recording: Recording) -> float:
        part = self._load(recording)[1]
        return float(part.stop - part.start) / SAMPLE_RATE

    def is_usable(self, recording: Recording) -> bool:
        return self.trimmed_seconds(recording) >= SHORTEST_S

    def of(self, split: str, kind: str | None = None) -> tuple[Recording, ...]:
        """All recordings of a split (of one kind), by path."""
        return tuple(r for r in self.recordings if r.split == split and kind in (None, r.kind))

    def draw(self, rng: np.random.Generator, split: str, kind: str) -> Recording | None:
        """A usable recording: first its best sound, weighted by the root of its count, then evenly among its takes.

        None when the split has no such kind. Raises DataError when nothing usable is found in 50 draws.
        """
        group = self._groups.get((split, kind))
        if group is None:
            return None
        cumulative, takes = group
        for _ in range(DRAWS):
            of_sound = takes[int(np.searchsorted(cumulative, rng.random(), side="right"))]
            recording = of_sound[int(rng.integers(len(of_sound)))]
            if self.is_usable(recording):
                return recording
        raise DataError(f"{DRAWS} recordings drawn from {self.folder} are all silent; check the files of the manifest")

    def _load(self, recording: Recording) -> tuple[NDArray[np.int16], slice]:
        found = self._decoded.get(recording.path)
        if found is None:
            waveform_S = audio.load(self.folder / recording.path, SAMPLE_RATE).waveform_S
            peak = float(np.abs(waveform_S).max(initial=0.0))
            samples_S = np.round(waveform_S * (FULL_SCALE / max(peak, 1e-9))).astype(np.int16)
            found = self._decoded[recording.path] = (samples_S, trim(samples_S))
        return found


def _float(samples_S: NDArray[np.int16]) -> Waveform:
    return samples_S.astype(np.float32) / np.float32(FULL_SCALE)


def _by_sound(
    recordings: Sequence[Recording],
) -> dict[tuple[str, str], tuple[NDArray[np.float64], list[list[Recording]]]]:
    """(split, kind) -> (cumulative weights of its sounds, takes of each sound)."""
    takes: dict[tuple[str, str], dict[str, list[Recording]]] = defaultdict(lambda: defaultdict(list))
    for recording in recordings:
        takes[recording.split, recording.kind][recording.sounds[0]].append(recording)
    groups = {}
    for where, by_sound in takes.items():
        lists = [by_sound[key] for key in sorted(by_sound)]
        weights = np.sqrt([len(members) for members in lists])
        cumulative = np.cumsum(weights) / weights.sum()
        cumulative[-1] = 1.0
        groups[where] = (cumulative, lists)
    return groups
