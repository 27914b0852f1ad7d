"""From the score of each sound at each step of a clip to what is likely heard at all, and from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["LIKELY", "STEP_SECONDS", "Event", "Timeline", "read_timeline", "step_times"]

STEP_SECONDS = 0.16  # of CED: 16 frames of 10 ms
WINDOW_SECONDS = 10.0
STEPS_PER_WINDOW = 62  # whole steps of a window; a shorter clip may have one more
LIKELY = 0.1  # least probability at its peak with which a sound is taken for an event
EDGE = 0.4  # an event reaches as far as its probability is this share of its peak
GAP_STEPS = 4  # rests of up to 0.64 s do not part an event
MOST = 6  # events of one clip; the likeliest stay
NAMED = 3  # sounds named for the whole clip, likely or not
POSSIBLE = 0.02  # but none whose peak and mean together are below this


class Event(NamedTuple):
    """A sound by its index, from `start` to `end` in seconds; probability: at its peak."""

    sound: int
    start: float
    end: float
    probability: float


class Timeline(NamedTuple):
    """The sounds that fit the whole clip best, best first, and the events in the order of their onsets."""

    likely: Sequence[int] = ()
    events: Sequence[Event] = ()


def step_times(steps: int) -> np.ndarray:
    """When each of the joined steps (T) of a clip begins, in seconds: the rest of a window has no step of its own."""
    number_T = np.arange(steps)
    window_T = number_T // STEPS_PER_WINDOW if steps > STEPS_PER_WINDOW + 1 else np.zeros(steps, int)
    times_T: np.ndarray = WINDOW_SECONDS * window_T + STEP_SECONDS * (number_T - STEPS_PER_WINDOW * window_T)
    return times_T


def read_timeline(scores_TS: np.ndarray) -> Timeline:
    """The timeline of a clip from the logits of S sounds at each of T steps."""
    chances_TS = 1 / (1 + np.exp(-np.clip(scores_TS.astype(np.float32), -30, 30)))
    whole_S = chances_TS.mean(0) + chances_TS.max(0)
    best = np.argsort(-whole_S, kind="stable")[:NAMED]
    return Timeline([int(sound) for sound in best if whole_S[sound] >= POSSIBLE], _events(_smooth(chances_TS)))


def _events(chances_TS: np.ndarray) -> list[Event]:
    found: list[Event] = []
    times_T = step_times(len(chances_TS))
    for sound in np.flatnonzero(chances_TS.max(0) >= LIKELY):
        chances_T = chances_TS[:, sound]
        steps = np.flatnonzero(chances_T >= EDGE * chances_T.max())
        for run in np.split(steps, np.flatnonzero(np.diff(steps) > GAP_STEPS) + 1):
            peak = float(chances_T[run].max())
            if peak >= LIKELY:
                start, end = float(times_T[run[0]]), float(times_T[run[-1]]) + STEP_SECONDS
                found.append(Event(int(sound), round(start, 2), round(end, 2), round(peak, 3)))
    found = sorted(found, key=lambda event: -event.probability)[:MOST]
    return sorted(found, key=lambda event: (event.start, event.end, event.sound))


def _smooth(chances_TS: np.ndarray) -> np.ndarray:
    """Mean over three neighbouring steps; of two at the ends."""
    total, count = chances_TS.copy(), np.ones((len(chances_TS), 1), np.float32)
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        total[here] += chances_TS[there]
        count[here] += 1
    smooth: np.ndarray = total / count
    return smooth
