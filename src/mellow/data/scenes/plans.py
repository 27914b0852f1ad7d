"""What to mix: each kind of scene as a plan that places soundings of recordings on a time line.

Order is never in doubt: events either share half of the shorter one or lie at least 0.1 s apart, and onsets differ by
0.6 s or more (only overlapping events may begin together).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mellow.data.scenes import signals
from mellow.data.scenes.drawing import DRAWS, draw, draw_different, draw_other
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.scene import Recording
from mellow.data.scenes.signals import SAMPLE_RATE, Waveform

__all__ = ["LONGEST_S", "PLANNERS", "SHORTEST_S", "Placed", "Plan", "as_it_is", "single"]

LONGEST_S = 10.0  # of a scene that is not "long"
SHORTEST_S = 2.0
EXCERPT_S = (1.5, 5.0)  # of a recording that is longer
GAP_S = (0.1, 1.0)  # between events that follow each other
ONSETS_S = 0.6  # least distance between onsets whose order may be asked
REPEAT_GAP_S = (0.25, 1.0)
REPEATED_S = 1.2  # longest sounding that is repeated
LOUDNESS_DB = 15.0  # largest difference between the events of a scene
OVERLAP_LOUDNESS_DB = 10.0  # the same where they overlap
SNR_DB = (6.0, 20.0)  # of an event over a background
FLOOR_PROBABILITY = 0.5  # of a faint noise floor instead of digital silence between events
FLOOR_DB = (-70.0, -48.0)  # of that floor, below the scene's peak
CUT_FADE_S, EDGE_FADE_S = 0.020, 0.002


@dataclass
class Placed:
    """One event of a plan: its sounding, when it starts (each time), and how loud against the others."""

    recording: Recording
    sounding_S: Waveform
    onsets_s: list[float]
    level_db: float = 0.0
    is_background: bool = False

    @property
    def seconds(self) -> float:
        return len(self.sounding_S) / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        return self.onsets_s[-1] + self.seconds


@dataclass
class Plan:
    """What is to be mixed: events, the length of the scene, and the floor below its peak (None: digital silence)."""

    placed: list[Placed]
    seconds: float
    floor_db: float | None = None


# --- plans --------------------------------------------------------------------------------------------------------


def single(rng: np.random.Generator, pool: Pool, split: str) -> Plan:
    recording = draw(rng, pool, split)
    whole_S = pool.whole_S(recording)
    if rng.random() < 0.3:
        whole_S = _excerpt(rng, pool, recording, LONGEST_S)
    most = int(LONGEST_S * SAMPLE_RATE)
    if len(whole_S) > most:
        middle = int(rng.integers(len(whole_S)))  # anywhere, but with something to hear
        loud = _loud_sample(rng, whole_S) if rng.random() < 0.8 else middle
        start = int(np.clip(loud - int(rng.integers(most // 2)), 0, len(whole_S) - most))
        whole_S = signals.fade(whole_S[start : start + most], start_s=CUT_FADE_S, end_s=CUT_FADE_S)
    plan = as_it_is(recording, whole_S)
    if plan is None:  # nothing but a faint part of it
        return _line_up([_event(rng, pool, recording, LONGEST_S)], [0.0], SHORTEST_S)
    if rng.random() < 0.2:
        plan.floor_db = rng.uniform(*FLOOR_DB)
    return plan


def _sequence(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    return _one_after_another(rng, pool, split, count=2, longest_s=LONGEST_S)


def _several(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    return _one_after_another(rng, pool, split, count=int(rng.integers(3, 5)), longest_s=LONGEST_S, overlaps=True)


def _overlap(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    recordings = draw_different(rng, pool, split, 2)
    if len(recordings) < 2:
        return None
    events = [_event(rng, pool, recording, 5.0) for recording in recordings]
    offset_s = _overlapping_offset(rng, events[0].seconds, events[1].seconds)
    lead_s = rng.uniform(0.0, 0.5)
    _spread_levels(rng, events, OVERLAP_LOUDNESS_DB)
    onsets_s = [lead_s, lead_s + (offset_s if offset_s is not None and rng.random() < 0.75 else 0.0)]
    return _finish(rng, _line_up(events, onsets_s, LONGEST_S))


def _repeats(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    event = next(filter(None, (_countable(rng, pool, split) for _ in range(DRAWS))), None)
    if event is None:
        return None
    count = int(rng.integers(2, 7))
    room_s = LONGEST_S - 0.5 - count * event.seconds
    most_s = min(REPEAT_GAP_S[1], room_s / (count - 1))
    gaps_s = np.full(count - 1, rng.uniform(REPEAT_GAP_S[0], most_s))
    if rng.random() < 0.5:  # an uneven rhythm
        gaps_s = rng.uniform(REPEAT_GAP_S[0], most_s, count - 1)
    lead_s = rng.uniform(0.0, 0.4)
    event.onsets_s = [lead_s, *(lead_s + np.cumsum(gaps_s + event.seconds)).tolist()]
    events = [event]
    left_s = LONGEST_S - event.end_s - 0.8
    partner = draw_other(rng, pool, split, [event.recording]) if left_s > EXCERPT_S[0] and rng.random() < 0.3 else None
    if partner is not None:
        other = _event(rng, pool, partner, left_s)
        other.onsets_s = [event.end_s + rng.uniform(0.3, 0.7)]
        if event.onsets_s[-1] + ONSETS_S <= other.onsets_s[0]:
            events.append(other)
            _spread_levels(rng, events, LOUDNESS_DB)
    return _finish(rng, Plan(events, max(e.end_s for e in events)))


def _background_alone(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    ambience = _ambience(rng, pool, split, rng.uniform(4.0, LONGEST_S))
    return None if ambience is None else Plan([ambience], ambience.seconds)


def _over_background(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    return _with_ambience(rng, pool, split, count=int(rng.integers(1, 3)), seconds=rng.uniform(5.0, LONGEST_S))


def _long(rng: np.random.Generator, pool: Pool, split: str) -> Plan | None:
    seconds, count = rng.uniform(12.0, 30.0), int(rng.integers(3, 7))
    plan = None
    if rng.random() < 0.5:
        plan = _with_ambience(rng, pool, split, count=count, seconds=seconds)
    if plan is None:
        plan = _one_after_another(rng, pool, split, count=count, longest_s=seconds)
    if plan is not None:
        plan.seconds = max(plan.seconds, 12.0)
    return plan


PLANNERS: dict[str, Callable[[np.random.Generator, Pool, str], Plan | None]] = {
    "single": single,
    "sequence": _sequence,
    "overlap": _overlap,
    "several": _several,
    "repeats": _repeats,
    "background": _background_alone,
    "over background": _over_background,
    "long": _long,
}


# --- the parts of plans -------------------------------------------------------------------------------------------


def _one_after_another(
    rng: np.random.Generator, pool: Pool, split: str, *, count: int, longest_s: float, overlaps: bool = False
) -> Plan | None:
    """Events with gaps of 0.1 s or more, spread over at most `longest_s`; with `overlaps`, some pairs overlap."""
    recordings = draw_different(rng, pool, split, count)
    if len(recordings) < count:
        return None
    budget_s = (longest_s - 0.6 * (count + 1)) / count
    events = [_event(rng, pool, recording, max(budget_s, 0.5)) for recording in recordings]
    _spread_levels(rng, events, OVERLAP_LOUDNESS_DB if overlaps else LOUDNESS_DB)
    slack_s = (longest_s - sum(event.seconds for event in events)) / (count + 1)
    most_s = max(min(slack_s, GAP_S[1] if longest_s <= LONGEST_S else slack_s), GAP_S[0])
    onsets_s = [rng.uniform(0.0, min(0.5, most_s))]
    end_s, paired = onsets_s[0] + events[0].seconds, False
    for before, event in pairwise(events):
        onset_s = max(end_s + rng.uniform(GAP_S[0], most_s), onsets_s[-1] + ONSETS_S)
        offset_s = _overlapping_offset(rng, before.seconds, event.seconds)
        paired = overlaps and not paired and offset_s is not None and rng.random() < 0.3
        if paired and offset_s is not None:
            onset_s = onsets_s[-1] + offset_s
        onsets_s.append(onset_s)
        end_s = max(end_s, onset_s + event.seconds)
    return _finish(rng, _line_up(events, onsets_s, longest_s))


def _with_ambience(rng: np.random.Generator, pool: Pool, split: str, *, count: int, seconds: float) -> Plan | None:
    """Events one after another over an ambience of `seconds`, 6 to 20 dB above it."""
    ambience = _ambience(rng, pool, split, seconds)
    if ambience is None:
        return None
    recordings = draw_different(rng, pool, split, count, [ambience.recording])
    if len(recordings) < count:
        return None
    budget_s = (ambience.seconds - 0.6 * (count + 1)) / count
    events = [_event(rng, pool, recording, max(budget_s, 0.5)) for recording in recordings]
    for event in events:
        event.level_db = ambience.level_db + rng.uniform(*SNR_DB)
    free_s = ambience.seconds - sum(event.seconds for event in events)
    shares = rng.dirichlet(np.ones(count + 1)) * max(free_s - 0.1 * (count + 1), 0.0) + 0.1
    time_s, onsets_s = 0.0, list[float]()
    for event, pause_s in zip(events, shares, strict=False):
        time_s = max(time_s + float(pause_s), onsets_s[-1] + ONSETS_S if onsets_s else 0.0)
        onsets_s.append(time_s)
        time_s += event.seconds
    plan = _line_up(events, onsets_s, ambience.seconds)
    return Plan([ambience, *plan.placed], ambience.seconds)


def _ambience(rng: np.random.Generator, pool: Pool, split: str, seconds: float) -> Placed | None:
    """A background recording cut to `seconds`, or shorter when it is shorter (never below 4 s: then None)."""
    for _ in range(DRAWS):
        recording = pool.draw(rng, split, "background")
        if recording is None:
            return None
        whole_S = pool.trimmed_S(recording)
        samples = min(int(seconds * SAMPLE_RATE), len(whole_S))
        if samples < 4 * SAMPLE_RATE:
            continue
        start = int(rng.integers(len(whole_S) - samples + 1))
        part_S = signals.fade(whole_S[start : start + samples], start_s=CUT_FADE_S, end_s=CUT_FADE_S)
        if signals.level_db(part_S) > -70.0:
            return Placed(recording, part_S, [0.0], is_background=True)
    return None


def _countable(rng: np.random.Generator, pool: Pool, split: str) -> Placed | None:
    """A short recording that is heard as one sounding, or None when the one drawn is not like that."""
    recording = draw(rng, pool, split)
    if pool.trimmed_seconds(recording) >= 4 * REPEATED_S:
        return None
    event = _event(rng, pool, recording, EXCERPT_S[1])
    return event if event.seconds < REPEATED_S and signals.bursts(event.sounding_S) == 1 else None


def _event(rng: np.random.Generator, pool: Pool, recording: Recording, longest_s: float) -> Placed:
    sounding_S = _excerpt(rng, pool, recording, longest_s)
    return Placed(recording, sounding_S, [0.0])


def _excerpt(rng: np.random.Generator, pool: Pool, recording: Recording, longest_s: float) -> Waveform:
    """The sounding part of a recording; a random 1.5 to 5 s of it (at most `longest_s`) when it is longer."""
    whole_S = pool.trimmed_S(recording)
    whole_S = whole_S[signals.active_span(whole_S)]
    most = int(min(EXCERPT_S[1], longest_s) * SAMPLE_RATE)
    if len(whole_S) <= most:
        return signals.fade(whole_S, start_s=EDGE_FADE_S, end_s=EDGE_FADE_S)
    count = int(rng.uniform(min(EXCERPT_S[0] * SAMPLE_RATE, most), most))
    start = int(np.clip(_loud_sample(rng, whole_S) - int(rng.integers(count // 2 + 1)), 0, len(whole_S) - count))
    part_S = whole_S[start : start + count]
    part_S = part_S[signals.active_span(part_S)]
    return signals.fade(part_S, start_s=CUT_FADE_S if start else EDGE_FADE_S, end_s=CUT_FADE_S)


def _loud_sample(rng: np.random.Generator, waveform_S: Waveform) -> int:
    """A random moment within 20 dB of the loudest."""
    rms_F = signals.frame_rms(waveform_S)
    (loud,) = np.nonzero(rms_F >= 0.1 * rms_F.max())
    return int(rng.choice(loud)) * signals.FRAME


def _overlapping_offset(rng: np.random.Generator, first_s: float, second_s: float) -> float | None:
    """An onset difference of 0.6 s or more at which half of the shorter event lies in the first; None if impossible."""
    most_s = first_s - 0.5 * min(first_s, second_s)
    return rng.uniform(ONSETS_S, most_s) if most_s > ONSETS_S else None


def _spread_levels(rng: np.random.Generator, events: Sequence[Placed], range_db: float) -> None:
    for event in events:
        event.level_db = rng.uniform(-range_db, 0.0)


def _line_up(events: list[Placed], onsets_s: Sequence[float], longest_s: float) -> Plan:
    for event, onset_s in zip(events, onsets_s, strict=True):
        event.onsets_s = [onset_s]
    return Plan(events, min(max(event.end_s for event in events), longest_s))


def _finish(rng: np.random.Generator, plan: Plan) -> Plan:
    """Add a tail, at least 2 s of scene, and a floor."""
    plan.seconds = max(SHORTEST_S, min(plan.seconds + rng.uniform(0.0, 1.0), max(LONGEST_S, plan.seconds)))
    if rng.random() < FLOOR_PROBABILITY:
        plan.floor_db = rng.uniform(*FLOOR_DB)
    return plan


def as_it_is(recording: Recording, part_S: Waveform) -> Plan | None:
    """The recording as the whole scene (0.5 s at least); None when it is silent."""
    if not part_S.any():
        return None
    placed = Placed(recording, part_S, [0.0], is_background=recording.kind == "background")
    return Plan([placed], max(placed.seconds, 0.5))
