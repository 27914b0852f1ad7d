"""Which recordings meet in a scene: drawn fairly by sound, and never two that a listener could take for one sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mellow.data.scenes import phrases
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.scene import Recording
from mellow.errors import DataError

__all__ = ["DRAWS", "draw", "draw_different", "draw_other", "related"]

DRAWS = 40  # attempts to find a fitting recording

# Categories that sound too much alike to stand for two different things in one scene.
ALIKE = {
    "music": {"music instrument"},
    "bell": {"music instrument", "alarm"},
    "alarm": {"electronic"},
    "vehicle": {"engine", "machine"},
    "engine": {"machine"},
    "machine": {"tool"},
    "noise": {"machine", "engine", "weather"},
    "weather": {"water", "nature"},
    "water": {"nature"},
    "fire": {"weather"},
    "human voice": {"crowd"},
    "human body": {"human voice"},
    "household": {"kitchen", "impact"},
    "kitchen": {"impact"},
    "impact": {"door", "explosion"},
    "animal": {"bird", "insect"},
    "bird": {"insect"},
}


def related(first: Recording, second: Recording) -> bool:
    """Whether two recordings may not stand for two different sounds: a common key, equal or similar categories."""
    if set(first.sounds) & set(second.sounds):
        return True
    one, other = (phrases.sounds()[recording.sounds[0]].category for recording in (first, second))
    return one == other or other in ALIKE.get(one, ()) or one in ALIKE.get(other, ())


def draw(rng: np.random.Generator, pool: Pool, split: str) -> Recording:
    recording = pool.draw(rng, split, "event") or pool.draw(rng, split, "background")
    if recording is None:
        raise DataError(f"No recording is in the split {split!r}; give a manifest and labels that have some")
    return recording


def draw_other(rng: np.random.Generator, pool: Pool, split: str, others: Sequence[Recording]) -> Recording | None:
    for _ in range(DRAWS):
        recording = pool.draw(rng, split, "event")
        if recording is None:
            return None
        if not any(related(recording, other) for other in others):
            return recording
    return None


def draw_different(
    rng: np.random.Generator, pool: Pool, split: str, count: int, others: Sequence[Recording] = ()
) -> list[Recording]:
    """Up to `count` event recordings, none related to another or to `others`; fewer when the split has no more."""
    chosen: list[Recording] = []
    while len(chosen) < count:
        recording = draw_other(rng, pool, split, [*others, *chosen])
        if recording is None:
            break
        chosen.append(recording)
    return chosen
