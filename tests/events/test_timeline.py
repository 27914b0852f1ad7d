"""Timelines: runs of a sound become events, short rests do not part them, unlikely ones are left out."""

from __future__ import annotations

import numpy as np
import pytest

from mellow import events
from mellow.encoders import ENCODERS
from mellow.events.timeline import GAP_SECONDS, MOST, NAMED, StepClock, Timeline

CED = StepClock.of(ENCODERS["ced"].sizes())
STEP_SECONDS = CED.seconds
GAP_STEPS = round(GAP_SECONDS / STEP_SECONDS)
STEPS, SOUNDS = CED.per_window, 12


def read_timeline(scores_TE: np.ndarray, clock: StepClock = CED) -> Timeline:
    return events.read_timeline(scores_TE, clock)


def logits(*events: tuple[int, int, int, float]) -> np.ndarray:
    """(T, S) with each (sound, first step, step behind the last, logit) above a floor of -12."""
    scores_TS = np.full((STEPS, SOUNDS), -12.0, np.float32)
    for sound, start, end, logit in events:
        scores_TS[start:end, sound] = logit
    return scores_TS


def test_events_stand_in_the_order_of_their_onsets() -> None:
    events = read_timeline(logits((3, 30, 50, 6.0), (7, 5, 20, 4.0))).events
    assert [event.sound for event in events] == [7, 3]
    for event, (start, end) in zip(events, ((5, 20), (30, 50)), strict=True):
        assert event.start == pytest.approx(start * STEP_SECONDS, abs=STEP_SECONDS)
        assert event.end == pytest.approx(end * STEP_SECONDS, abs=STEP_SECONDS)
        assert event.probability > 0.95


@pytest.mark.parametrize(("rest", "events"), [(GAP_STEPS - 2, 1), (GAP_STEPS + 6, 2)])
def test_a_short_rest_does_not_part_an_event(rest: int, events: int) -> None:
    timeline = read_timeline(logits((2, 5, 15, 6.0), (2, 15 + rest, 30 + rest, 6.0)))
    assert [event.sound for event in timeline.events] == [2] * events


def test_what_is_unlikely_is_no_event_but_may_be_named() -> None:
    timeline = read_timeline(logits((4, 0, 62, -2.5)))
    assert list(timeline.events) == []
    assert list(timeline.likely) == [4]


def test_the_likeliest_are_named_best_first_and_not_more_than_some() -> None:
    timeline = read_timeline(logits(*((sound, 0, 40, float(sound) / 2) for sound in range(6))))
    assert list(timeline.likely) == [5, 4, 3][:NAMED]


def test_silence_has_neither() -> None:
    assert read_timeline(logits()) == ([], [])


def test_at_most_some_events_and_the_likeliest_stay() -> None:
    timeline = read_timeline(logits(*((sound, 5 * sound, 5 * sound + 4, 1 + 0.2 * sound) for sound in range(SOUNDS))))
    assert [event.sound for event in timeline.events] == list(range(SOUNDS - MOST, SOUNDS))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_clips_of_a_few_steps(steps: int) -> None:
    scores_TS = np.full((steps, 2), -12.0, np.float32)
    scores_TS[:, 1] = 5.0
    (event,) = read_timeline(scores_TS).events
    assert (event.sound, event.start, event.end) == (1, 0.0, pytest.approx(steps * STEP_SECONDS))


def test_sounds_that_a_head_does_not_know_are_never_found() -> None:
    scores_TS = logits((1, 0, 62, 9.0))
    scores_TS[:, 1] = -np.inf
    assert read_timeline(scores_TS) == ([], [])


def test_times_of_a_long_clip_do_not_drift() -> None:
    """A window of 10 s has 62 steps of 0.16 s, which are 9.92 s."""
    scores_TS = np.full((6 * 62, 2), -12.0, np.float32)
    scores_TS[5 * 62 : 5 * 62 + 31, 1] = 6.0
    (event,) = read_timeline(scores_TS).events
    assert (event.start, event.end) == pytest.approx((50.0, 50.0 + 31 * STEP_SECONDS), abs=2 * STEP_SECONDS)


@pytest.mark.parametrize(("kind", "per_window"), [("ced", 62), ("htsat", 32), ("cnn14", 31)])
def test_times_follow_the_step_length_of_each_encoder(kind: str, per_window: int) -> None:
    """A sound from 20 s + 1.25 s to 20 s + 5 s is found there, whatever a step is (HTSAT: 0.3125 s, CNN14: 0.32 s)."""
    clock = StepClock.of(ENCODERS[kind].sizes())
    assert clock.per_window == per_window
    steps = np.arange(per_window) * clock.seconds
    window_TE = np.where((steps >= 1.25) & (steps < 5.0), 6.0, -12.0)[:, None].astype(np.float32)
    scores_TE = np.concatenate([np.full((2 * per_window, 1), -12.0, np.float32), window_TE])
    (event,) = read_timeline(scores_TE, clock).events
    assert (event.start, event.end) == pytest.approx((21.25, 25.0), abs=1.5 * clock.seconds)
