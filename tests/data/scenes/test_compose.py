"""The composer tells the truth: what a Scene says is where, how loud, how often and how high it is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest

from mellow.data.scenes import compose as scenes
from mellow.data.scenes import drawing, phrases, plans, signals
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.recordings import read_recordings
from mellow.data.scenes.scene import Recording, Scene
from mellow.data.scenes.signals import SAMPLE_RATE, Waveform
from mellow.errors import DataError

from ..conftest import Lab, sound

COUNT = 300
SLACK_S = 0.02  # two frames


@pytest.fixture
def pool(lab: Lab) -> Pool:
    return Pool(lab.folder, read_recordings(lab.manifest, lab.labelling))


@pytest.fixture
def composed(pool: Pool) -> list[tuple[Scene, Waveform]]:
    return [scenes.compose_scene(f"train-{n:06d}", pool, seed=3, split="train") for n in range(COUNT)]


def of_kind(
    kind: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, count: int = 40
) -> Iterator[tuple[Scene, Waveform]]:
    """Scenes of one kind only, without noise floor, which would hide gaps."""
    monkeypatch.setattr(scenes, "KINDS", {kind: 1.0})
    monkeypatch.setattr(plans, "FLOOR_PROBABILITY", 0.0)
    for n in range(count):
        yield scenes.compose_scene(f"train-{n:06d}", pool, seed=5, split="train")


def energy(waveform_S: Waveform, start_s: float, end_s: float, hertz: float | None = None) -> float:
    """Mean power of a part, within 100 Hz of a frequency when one is given."""
    part_S = waveform_S[max(0, round(start_s * SAMPLE_RATE)) : round(end_s * SAMPLE_RATE)]
    if hertz is None:
        return float(np.mean(part_S**2)) if len(part_S) else 0.0
    power_F = np.abs(np.fft.rfft(part_S)) ** 2 / len(part_S) ** 2 * 2
    return float(power_F[np.abs(np.fft.rfftfreq(len(part_S), 1 / SAMPLE_RATE) - hertz) < 100].sum())


def test_the_same_seed_and_name_give_the_same_bytes(lab: Lab, pool: Pool) -> None:
    fresh = Pool(
        lab.folder, read_recordings(lab.manifest, lab.labelling)
    )  # nothing decoded yet, and used in another order
    for n in reversed(range(20)):
        one, one_S = scenes.compose_scene(f"train-{n}", pool, seed=1, split="train")
        other, other_S = scenes.compose_scene(f"train-{n}", fresh, seed=1, split="train")
        assert one == other
        assert one_S.tobytes() == other_S.tobytes()
    changed = scenes.compose_scene("train-0", pool, seed=2, split="train")[1]
    assert changed.tobytes() != scenes.compose_scene("train-0", pool, seed=1, split="train")[1].tobytes()


def test_every_waveform_is_sound(composed: list[tuple[Scene, Waveform]]) -> None:
    for scene, waveform_S in composed:
        assert waveform_S.dtype == np.float32
        assert len(waveform_S) == round(scene.seconds * SAMPLE_RATE)
        assert np.isfinite(waveform_S).all()
        peak = np.abs(waveform_S).max()
        assert peak <= 1.0
        if scene.nothing is None:
            assert -20.01 <= 20 * np.log10(peak) <= -0.99
            assert scene.events
        else:
            assert not scene.events


def test_scenes_have_the_promised_lengths(composed: list[tuple[Scene, Waveform]]) -> None:
    for scene, _ in composed:
        assert scene.seconds <= 30.0
        assert scene.seconds >= 2.0 or len(scene.events) == 1
        if scene.seconds > 10.01:
            assert scene.seconds >= 12.0
        for event in scene.events:
            assert 0.0 <= event.onset_s < event.end_s <= scene.seconds + 1e-3


def test_order_is_never_in_doubt(composed: list[tuple[Scene, Waveform]]) -> None:
    for scene, _ in composed:
        for before, after in combinations(scene.foreground, 2):
            shared = min(before.end_s, after.end_s) - after.onset_s
            apart = after.onset_s - before.onset_s
            if shared > 0:
                assert shared >= 0.5 * min(before.duration_s, after.duration_s) - SLACK_S
                assert apart < SLACK_S or apart > plans.ONSETS_S - SLACK_S
            else:
                assert shared <= -plans.GAP_S[0] + SLACK_S
                assert apart > plans.ONSETS_S - SLACK_S


def test_sounds_of_a_scene_are_unrelated_and_of_its_split(pool: Pool) -> None:
    by_path = {recording.path: recording for recording in pool.recordings}
    for split in ("train", "development"):
        for n in range(60):
            scene, _ = scenes.compose_scene(f"{split}-{n}", pool, seed=3, split=split)
            recordings = [by_path[event.recording] for event in scene.events]
            assert {recording.split for recording in recordings} <= {split}
            assert all(not drawing.related(a, b) for a, b in combinations(recordings, 2))


def test_related_means_a_common_key_or_a_similar_category(monkeypatch: pytest.MonkeyPatch) -> None:
    categories = {"dog": "animal", "bark": "animal", "owl": "bird", "drum": "music instrument", "car": "vehicle"}
    monkeypatch.setattr(phrases, "sounds", lambda: {key: sound(key, value) for key, value in categories.items()})

    def recording(*keys: str) -> Recording:
        return Recording("path", keys, "event", "train")

    assert drawing.related(recording("dog"), recording("car", "dog"))
    assert drawing.related(recording("dog"), recording("bark"))
    assert drawing.related(recording("owl"), recording("dog"))
    assert not drawing.related(recording("drum"), recording("car"))


@pytest.mark.parametrize("kind", ["sequence", "several"])
def test_energy_lies_where_the_events_say(kind: str, lab: Lab, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for scene, waveform_S in of_kind(kind, pool, monkeypatch):
        inside = np.zeros(len(waveform_S), bool)
        for event in scene.events:
            inside[
                max(0, round((event.onset_s - 0.005) * SAMPLE_RATE)) : round((event.end_s + 0.005) * SAMPLE_RATE)
            ] = True
            tone = lab.tones[event.sound]
            own = energy(waveform_S, event.onset_s, event.end_s, tone)
            assert 10 * np.log10(own) == pytest.approx(event.level_db, abs=2.0)
            if tone is not None:
                assert event.pitch_hz == pytest.approx(tone, rel=0.1)
        assert np.abs(waveform_S[~inside]).max(initial=0.0) < 0.02 * np.abs(waveform_S).max()


def test_overlaps_are_heard_together(lab: Lab, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for scene, waveform_S in of_kind("overlap", pool, monkeypatch):
        one, other = scene.events
        start_s, end_s = max(one.onset_s, other.onset_s), min(one.end_s, other.end_s)
        for event in scene.events:
            assert energy(waveform_S, start_s, end_s, lab.tones[event.sound]) > 0.3 * 10 ** (event.level_db / 10)
        assert abs(one.level_db - other.level_db) <= plans.OVERLAP_LOUDNESS_DB + 0.5


def test_repeats_can_be_counted(lab: Lab, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counter[int]()
    for scene, waveform_S in of_kind("repeats", pool, monkeypatch):
        event = next(event for event in scene.events if event.repeats > 1)
        rms_F = signals.frame_rms(waveform_S[round(event.onset_s * SAMPLE_RATE) : round(event.end_s * SAMPLE_RATE)])
        loud_F = (rms_F > 0.1 * rms_F.max()).astype(int)
        starts = np.flatnonzero(np.diff(loud_F, prepend=0) == 1)
        ends = np.flatnonzero(np.diff(loud_F, append=0) == -1)
        assert len(starts) == event.repeats
        assert all((starts[1:] - ends[:-1]) * 0.01 >= plans.REPEAT_GAP_S[0] - SLACK_S)
        counted[event.repeats] += 1
    assert set(counted) == {2, 3, 4, 5, 6}


def test_events_stand_out_of_their_background(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for scene, _ in of_kind("over background", pool, monkeypatch):
        (ambience,) = (event for event in scene.events if event.is_background)
        assert ambience.onset_s == 0.0
        assert ambience.duration_s == pytest.approx(scene.seconds, abs=1e-3)
        for event in scene.foreground:
            assert 6.0 - 0.5 <= event.level_db - ambience.level_db <= 20.0 + 0.5


def test_a_mixture_of_all_kinds(composed: list[tuple[Scene, Waveform]]) -> None:
    assert sum(scenes.KINDS.values()) == pytest.approx(1.0)
    assert set(plans.PLANNERS) | {"nothing"} == set(scenes.KINDS)
    single = sum(len(scene.events) == 1 and scene.foreground != () for scene, _ in composed) / COUNT
    nothing = sum(scene.nothing is not None for scene, _ in composed) / COUNT
    assert 0.3 < single < 0.6
    assert 0.01 < nothing < 0.08


def test_nothing_is_what_it_says(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Counter[str]()
    for scene, waveform_S in of_kind("nothing", pool, monkeypatch, count=80):
        assert scene.nothing is not None
        told[scene.nothing] += 1
        level_db = 10 * np.log10(energy(waveform_S, 0, scene.seconds) + 1e-12)
        assert (level_db < -69) == (scene.nothing == "silence")
    assert set(told) == {"silence", "white noise", "pink noise", "brown noise", "hum"}


def test_a_recording_alone_is_left_as_it_is(pool: Pool) -> None:
    recording = next(r for r in pool.recordings if r.sounds == ("dog",))
    scene, waveform_S = scenes.compose_alone("alone", pool, recording, seed=1)
    assert len(waveform_S) == len(pool.whole_S(recording))
    assert scene.events[0].onset_s == pytest.approx(0.3, abs=SLACK_S)
    assert scene.seconds - scene.events[0].end_s == pytest.approx(0.5, abs=SLACK_S)
    assert np.abs(waveform_S).max() == pytest.approx(10 ** (scenes.ALONE_PEAK_DB / 20), rel=1e-3)


def test_a_split_without_recordings_is_named(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "KINDS", {"sequence": 1.0})
    with pytest.raises(DataError, match="'held_out'"):
        scenes.compose_scene("held_out-1", pool, seed=1, split="held_out")


def test_bursts_count_what_is_heard_apart() -> None:
    hit_S = np.exp(-np.arange(3200) / 400).astype(np.float32)
    gap_S = np.zeros(4000, np.float32)
    assert signals.bursts(hit_S) == 1
    assert signals.bursts(np.concatenate([hit_S, gap_S, hit_S])) == 2
    assert signals.bursts(np.concatenate([hit_S, hit_S * 0.5, hit_S])) == 3
    assert signals.bursts(np.ones(8000, np.float32)) == 1
