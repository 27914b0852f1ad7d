"""From the score of each sound at each step of a clip to what is likely heard at all, and from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mellow.encoders import WINDOW_SECONDS, EncoderConfig

__all__ = ["LIKELY", "Event", "StepClock", "Timeline", "read_timeline"]

LIKELY = 0.1  # least probability at its peak with which a sound is taken for an event
EDGE = 0.4  # an event reaches as far as its probability is this share of its peak
GAP_SECONDS = 0.64  # shorter rests do not part an event
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


@dataclass(frozen=True)
class StepClock:
    """When the steps of an encoder are, in a clip that is encoded window by window.

    seconds: from one step to the next; per_window: steps of a full window (a shorter clip may have one more).
    """

    seconds: float
    per_window: int

    @classmethod
    def of(cls, sizes: EncoderConfig) -> StepClock:
        """The clock of an encoder of these sizes."""
        return cls(sizes.seconds_per_step, sizes.steps_per_window)

    def windows(self, steps: int) -> list[int]:
        """How many of the joined steps of a clip belong to each of its windows."""
        if steps <= self.per_window + 1:
            return [steps]
        whole, rest = divmod(steps, self.per_window)
        return [*[self.per_window] * whole, *([rest] if rest else [])]

    def starts(self, steps: int) -> np.ndarray:
        """When each of the joined steps (T) of a clip begins, in seconds; a window's rest has no step of its own."""
        number_T = np.arange(steps)
        window_T = number_T // self.per_window if steps > self.per_window + 1 else np.zeros(steps, int)
        starts_T: np.ndarray = WINDOW_SECONDS * window_T + self.seconds * (number_T - self.per_window * window_T)
        return starts_T


def read_timeline(scores_TE: np.ndarray, clock: StepClock) -> Timeline:
    """The timeline of a clip from the logits of E sounds at each of T joined steps."""
    probabilities_TE = 1 / (1 + np.exp(-np.clip(scores_TE.astype(np.float32), -30, 30)))
    whole_E = probabilities_TE.mean(0) + probabilities_TE.max(0)
    best = np.argsort(-whole_E, kind="stable")[:NAMED]
    likely = [int(sound) for sound in best if whole_E[sound] >= POSSIBLE]
    return Timeline(likely, _events(_smooth(probabilities_TE), clock))


def _events(probabilities_TE: np.ndarray, clock: StepClock) -> list[Event]:
    found: list[Event] = []
    gap_steps = round(GAP_SECONDS / clock.seconds)
    starts_T = clock.starts(len(probabilities_TE))
    for sound in np.flatnonzero(probabilities_TE.max(0) >= LIKELY):
        probabilities_T = probabilities_TE[:, sound]
        steps = np.flatnonzero(probabilities_T >= EDGE * probabilities_T.max())
        for run in np.split(steps, np.flatnonzero(np.diff(steps) > gap_steps) + 1):
            peak = float(probabilities_T[run].max())
            if peak >= LIKELY:
                start, end = float(starts_T[run[0]]), float(starts_T[run[-1]]) + clock.seconds
                found.append(Event(int(sound), round(start, 2), round(end, 2), round(peak, 3)))
    found = sorted(found, key=lambda event: -event.probability)[:MOST]
    return sorted(found, key=lambda event: (event.start, event.end, event.sound))


def _smooth(probabilities_TE: np.ndarray) -> np.ndarray:
    """Mean over three neighbouring steps; of two at the ends."""
    total, count = probabilities_TE.copy(), np.ones((len(probabilities_TE), 1), np.float32)
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        total[here] += probabilities_TE[there]
        count[here] += 1
    smooth: np.ndarray = total / count
    return smooth
