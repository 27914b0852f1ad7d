"""The one preprocessing path: log-mel windows of clips of any length, and which questions can be asked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mellow.audio import CED, log_mel
from mellow.errors import AudioError, QuestionError
from mellow.processor import SHORTEST_FRAMES, ClipPolicy, Processor
from mellow.text.question import MAX_QUESTION_CHARACTERS
from mellow.types import Clip

RATE = CED.sample_rate


def noise(seconds: float, rate: int = RATE) -> Clip:
    samples = round(seconds * rate)
    return Clip(0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32), rate)


# --- clips ----------------------------------------------------------------------------------------------------------


def test_a_path_bytes_file_objects_and_clips_are_the_same_clip(processor: Processor, tone: Any) -> None:
    path = tone(440, 0.7)
    whole = processor.clip(path)
    assert whole.sample_rate == RATE
    with Path(path).open("rb") as file:
        for source in (str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file, whole):
            assert np.array_equal(processor.clip(source).waveform_S, whole.waveform_S)


def test_a_clip_of_another_rate_is_resampled(processor: Processor) -> None:
    clip = processor.clip(noise(1.0, rate=8_000))
    assert clip.sample_rate == RATE
    assert len(clip.waveform_S) == RATE


@pytest.mark.parametrize("rate", [RATE, 8_000])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_clip_that_is_not_finite_is_an_error(processor: Processor, value: float, rate: int) -> None:
    clip = noise(1.0, rate)
    clip.waveform_S[100] = value
    with pytest.raises(AudioError, match="finite"):
        processor.clip(clip)


@pytest.mark.parametrize("rate", [RATE, 8_000])
def test_a_clip_without_samples_is_an_error(processor: Processor, rate: int) -> None:
    with pytest.raises(AudioError, match="no samples"):
        processor.clip(Clip(np.zeros(0, np.float32), rate, "nothing"))


# --- features -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [
        (1 / RATE, [48]),
        (0.1, [48]),
        (0.47, [48]),
        (0.48, [49]),
        (1.0, [101]),
        (9.99, [1000]),
        (10.0, [1001]),
        (10.1, [1001]),  # a rest of 0.1 s is dropped
        (10.2, [1001, 48]),  # one of 0.2 s is padded
        (20.0, [1001, 1001]),
        (25.5, [1001, 1001, 551]),
    ],
)
def test_windows_of_a_clip_of_any_length(processor: Processor, seconds: float, frames: list[int]) -> None:
    features = processor.features(noise(seconds))
    assert [mel_FM.shape for mel_FM in features] == [(f, CED.mel_bins) for f in frames]
    assert all(mel_FM.dtype == np.float32 and np.isfinite(mel_FM).all() for mel_FM in features)


def test_windows_are_the_log_mels_of_consecutive_stretches(processor: Processor) -> None:
    clip = noise(25.0)
    for number, mel_FM in enumerate(processor.features(clip)):
        piece_S = clip.waveform_S[10 * RATE * number : 10 * RATE * (number + 1)]
        assert np.array_equal(mel_FM, log_mel(piece_S, CED))


def test_short_clips_are_padded_with_silence(processor: Processor) -> None:
    clip = noise(0.2)
    padded_S = np.zeros((SHORTEST_FRAMES - 1) * CED.hop, np.float32)
    padded_S[: len(clip.waveform_S)] = clip.waveform_S
    assert np.array_equal(processor.features(clip)[0], log_mel(padded_S, CED))


def test_a_whole_clip_is_one_view(processor: Processor) -> None:
    (view,) = processor.views(noise(25.0))
    assert (view.start, view.end) == (0.0, 25.0)
    assert len(view.windows) == 3


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [
        (30.0, [30.0]),
        (31.9, [31.9]),  # a rest below 2 s is heard with what stands before it
        (32.0, [30.0, 32.0]),
        (60.0, [30.0, 60.0]),
        (61.0, [30.0, 61.0]),
        (75.0, [30.0, 60.0, 75.0]),
    ],
)
def test_a_longer_clip_is_heard_in_stretches(processor: Processor, seconds: float, ends: list[float]) -> None:
    clip = noise(seconds)
    views = list(processor.views(clip))
    assert [view.end for view in views] == pytest.approx(ends)
    assert [view.start for view in views] == [0.0, *ends[:-1]]
    mels = [mel_FM for view in views for mel_FM in view.windows]
    for mel_FM, same_FM in zip(mels, processor.features(clip), strict=True):
        assert np.array_equal(mel_FM, same_FM)


def test_stretches_are_made_one_by_one(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the features of an hour are never held together."""
    made: list[int] = []
    monkeypatch.setattr("mellow.processor.log_mel", lambda waveform_S, _: made.append(len(waveform_S)))
    views = processor.views(noise(95.0))
    next(views)
    assert len(made) == 3


@pytest.mark.parametrize(
    ("long", "spans"),
    [("start", [(0.0, 10.0)]), ("center", [(5.5, 15.5)]), ("windows", [(0.0, 10.0), (8.0, 18.0), (11.0, 21.0)])],
)
def test_views_of_a_long_clip_by_policy(processor: Processor, long: Any, spans: list[tuple[float, float]]) -> None:
    clip = noise(21.0)
    views = list(Processor(CED, processor.prompt, ClipPolicy("pad", long)).views(clip))
    assert [(view.start, view.end) for view in views] == spans
    for view in views:
        piece_S = clip.waveform_S[round(view.start * RATE) : round(view.end * RATE)]
        assert np.array_equal(view.windows[0], log_mel(piece_S, CED))


@pytest.mark.parametrize("short", ["pad", "repeat"])
def test_short_clips_fill_a_window_by_policy(processor: Processor, short: Any) -> None:
    clip = noise(4.0)
    (view,) = Processor(CED, processor.prompt, ClipPolicy(short, "start")).views(clip)
    filler_S = np.tile(clip.waveform_S, 3) if short == "repeat" else np.pad(clip.waveform_S, (0, 6 * RATE))
    assert np.array_equal(view.windows[0], log_mel(filler_S[: 10 * RATE], CED))


# --- questions ------------------------------------------------------------------------------------------------------


def test_a_question_is_written_with_its_options(processor: Processor) -> None:
    assert processor.question("  What is it?\n") == "What is it?"
    assert processor.question("What is it?", [" dog", "cat "], clips=2) == "What is it?\nOptions: dog; cat"


@pytest.mark.parametrize(
    ("question", "choices", "clips", "message"),
    [
        ("", (), 1, "The question is empty"),
        (" \n\t", (), 1, "The question is empty"),
        ("x" * 1_000_000, (), 1, r"1,000,000 characters; at most 20,000"),
        ("x", ("y" * 10_000, "z" * 10_000), 1, "20,001 characters"),
        ("x", ("dog",), 1, "at least two options, but only 'dog' was given"),
        ("x", ("",), 1, "at least two options"),
        ("x", ("dog", " "), 1, "One of the options is empty"),
        ("x", ("dog", "dog "), 1, "All options are 'dog'"),
        ("x", ("dog", "Dog", "DOG"), 1, "at least two different"),
        ("x", "dog", 1, "single string"),
        ("x", (), 3, "one or two clips, but 3 were given"),
        ("half \ud83d a character", (), 1, "is not valid Unicode text"),
        ("x", ("dog", "\udc80"), 1, "is not valid Unicode text"),
    ],
)
def test_questions_that_cannot_be_asked(
    processor: Processor, question: str, choices: Any, clips: int, message: str
) -> None:
    with pytest.raises(QuestionError, match=message) as caught:
        processor.question(question, choices, clips=clips)
    assert len(str(caught.value)) < 200


def test_the_longest_question_can_be_asked(processor: Processor) -> None:
    assert processor.question("x" * MAX_QUESTION_CHARACTERS) == "x" * MAX_QUESTION_CHARACTERS


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"long": "centre"}, "no policy 'centre' for long clips; use join"),
        ({"short": "windows"}, "no policy 'windows' for short clips; use keep"),
        ({"long": "random"}, "'random' needs a seed"),
    ],
)
def test_policies_that_there_are_not(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        ClipPolicy(**policy)


def test_a_random_stretch_is_that_of_its_seed(processor: Processor) -> None:
    clip = Clip(np.linspace(-1, 1, 40 * RATE, dtype=np.float32), RATE)

    def start(seed: int) -> float:
        policy = ClipPolicy("keep", "random", seed=seed)
        (view,) = replace(processor, policy=policy).views(clip)
        assert view.end - view.start == pytest.approx(10)
        return view.start

    starts = [start(seed) for seed in range(6)]
    assert starts == [start(seed) for seed in range(6)]
    assert len(set(starts)) == 6
