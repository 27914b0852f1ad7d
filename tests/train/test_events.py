"""The event head learns what sounds when; timelines to train on come from heads that never met the recording."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mellow.data.scenes.scene import Event, Scene
from mellow.data.scenes.store import audio_path
from mellow.events import StepClock
from mellow.model.events import EventHead
from mellow.train import events as module
from mellow.train.events import FOLDS, Events, fit_events, fold_of, truth, unknown_of
from mellow.train.features import FeatureCache

CLOCK = StepClock(0.16, 62)  # CED
SOUNDS = ("bell", "dog", "rain", "siren")
WIDTH = 24  # of the frames


def event(sound: str, start: float, end: float, recording: str = "") -> Event:
    return Event(sound, recording or f"{sound}.wav", start, end - start, 1, -20.0, 500.0)


def scene(number: int, *events: Event) -> Scene:
    return Scene(f"train-{number:06d}", 9.92, 1, "train", events)


@pytest.fixture
def job(tmp_path: Path) -> tuple[list[Scene], FeatureCache]:
    """80 scenes of two sounds one after the other; a frame is its sound's direction and noise."""
    rng = np.random.default_rng(0)
    directions = {sound: rng.normal(0, 1, WIDTH) for sound in SOUNDS}
    cache = FeatureCache(tmp_path / "cache", root=tmp_path, key="k")
    scenes = []
    for number in range(80):
        first, second = rng.permutation(SOUNDS)[:2]
        one, two = event(first, 0.0, 4.8, f"{first}{number % 8}"), event(second, 4.8, 9.92, f"{second}{number % 8}")
        scenes.append(scene(number, one, two))
        frames = rng.normal(0, 0.3, (62, WIDTH))
        frames[:30] += directions[first]
        frames[30:] += directions[second]
        save_file({"frames": frames.astype(np.float16)}, str(cache.path(audio_path(scenes[-1].name))))
    return scenes, cache


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EPOCHS", 10)
    monkeypatch.setattr(module, "BATCH", 128)


def fit(job: tuple[list[Scene], FeatureCache], folder: Path, seed: int = 1) -> Events:
    return fit_events(*job, clock=CLOCK, width=16, seed=seed, folder=folder)


@pytest.mark.slow
def test_the_head_hears_which_sound_comes_first(
    job: tuple[list[Scene], FeatureCache], tmp_path: Path, quick: None
) -> None:
    scenes, cache = job
    fitted = fit(job, tmp_path / "run")
    assert fitted.sounds == sorted(SOUNDS)
    for one in scenes[:20]:
        frames = torch.from_numpy(cache.read(audio_path(one.name))["frames"]).float()
        scores_TS = fitted.head(frames)
        wanted = [fitted.sounds.index(event.sound) for event in one.events]
        assert [scores_TS[:30].mean(0).argmax().item(), scores_TS[30:].mean(0).argmax().item()] == wanted


@pytest.mark.slow
def test_training_timelines_do_not_come_from_a_head_that_met_the_recording(
    job: tuple[list[Scene], FeatureCache], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that each fold's head is fitted on hold no recording of the fold, and no sound unknown to it."""
    seen: list[tuple[int | None, set[int], set[int]]] = []
    moments = module._moments

    def spy(frames_NE: torch.Tensor, chosen_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        folds = {fold for fold in range(FOLDS) for bits in steps.fold_N[chosen_N].tolist() if bits >> fold & 1}
        heard = set(torch.nonzero(steps.truth_NS[chosen_N].any(0)).flatten().tolist())
        seen.append((None, folds, heard))
        return moments(frames_NE, chosen_N)

    scenes, cache = job
    steps = module.join(scenes, cache, sorted(SOUNDS), [62] * len(scenes), CLOCK)
    monkeypatch.setattr(module, "_moments", spy)
    monkeypatch.setattr(module, "UNKNOWN", 0.5)
    fit(job, tmp_path / "run")
    assert len(seen) == FOLDS + 1
    for fold, (_, folds, heard) in enumerate(seen[:FOLDS]):
        assert fold not in folds
        assert not heard.intersection(unknown_of(fold, sorted(SOUNDS)))
    assert seen[-1][1] == set(range(FOLDS))  # the head that is kept met them all
    assert seen[-1][2] == set(range(len(SOUNDS)))


@pytest.mark.slow
def test_a_sound_unknown_to_its_fold_is_not_in_the_timeline(
    job: tuple[list[Scene], FeatureCache], tmp_path: Path, quick: None
) -> None:
    timelines = fit(job, tmp_path / "run").timelines
    sounds = sorted(SOUNDS)
    named = unknown = 0
    for one in job[0]:
        found = {e.sound for e in timelines[audio_path(one.name)].events}
        for e in one.events:
            known = sounds.index(e.sound) not in unknown_of(fold_of(e.recording), sounds)
            named += known and sounds.index(e.sound) in found
            unknown += not known
            assert known or sounds.index(e.sound) not in found
    assert unknown > 0
    assert named > 0.9 * (2 * len(job[0]) - unknown)


@pytest.mark.slow
def test_a_second_fit_reads_the_first_and_another_data_set_does_not(
    job: tuple[list[Scene], FeatureCache], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(job, tmp_path / "run")
    again = fit(job, tmp_path / "other")
    for name, tensor in first.head.state_dict().items():
        assert torch.equal(tensor, again.head.state_dict()[name])  # a function of scenes and seed
    monkeypatch.setattr(module, "fit_head", None)  # may not be called any more
    read = fit(job, tmp_path / "run")
    assert read.sounds == first.sounds
    assert dict(read.timelines) == dict(first.timelines)
    for name, tensor in first.head.state_dict().items():
        assert torch.equal(tensor, read.head.state_dict()[name])
    with pytest.raises(TypeError):
        fit_events(job[0][:-1], job[1], clock=CLOCK, width=16, seed=1, folder=tmp_path / "run")


def test_truth_fills_the_steps_of_an_event_and_knows_windows() -> None:
    heard_TS = truth(scene(1, event("dog", 1.6, 3.2), event("rain", 9.0, 9.04)), ["dog", "rain"], 62, CLOCK)
    assert np.flatnonzero(heard_TS[:, 0]).tolist() == list(range(10, 20))
    assert np.flatnonzero(heard_TS[:, 1]).tolist() == [56]  # shorter than a step: the one it falls into
    long_TS = truth(scene(2, event("dog", 10.0, 11.6)), ["dog"], 124, CLOCK)
    assert np.flatnonzero(long_TS[:, 0]).tolist() == list(range(62, 72))  # the second window begins at 10 s
    assert truth(scene(3, event("cat", 0.0, 5.0)), ["dog"], 62, CLOCK).sum() == 0


def test_folds_are_a_function_of_the_recordings_name() -> None:
    assert fold_of("a.wav") == zlib.crc32(b"a.wav") % FOLDS
    assert {fold_of(f"{n}.wav") for n in range(50)} == set(range(FOLDS))


def test_the_head_takes_frames_as_they_are() -> None:
    head = EventHead(frame_width=8, width=4, sounds=3)
    assert head(torch.zeros(2, 5, 8)).shape == (2, 5, 3)
