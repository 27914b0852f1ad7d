"""Audio tags: scores normalised, muted classes never named, parts of long clips, nothing tags."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mellow.encoders import ENCODERS
from mellow.errors import ModelError
from mellow.events import Event, StepClock, Timeline, read_timeline
from mellow.text.tags import PARTS, AudioTags, TagSettings
from mellow.text.tokenizer import Tokenizer

NAMES = ["dog", "bark", "rain", "gentle wind", "siren"]
SILENT = np.full(5, -20.0, np.float32)
CLOCK = StepClock.of(ENCODERS["ced"].sizes())
NO_STEPS = np.zeros((1, 5), np.float32)


@pytest.fixture(scope="session")
def make(tokenizer: Tokenizer) -> Any:
    def make(**settings: Any) -> AudioTags:
        settings = {"mean": [-4.0, -4, -2, -8, -6], "std": [1.0, 1, 2, 0.5, 2], **settings}
        return AudioTags(TagSettings(NAMES, **settings), tokenizer, CLOCK)

    return make


def scores(**strengths: float) -> np.ndarray:
    """Logits of a clip in which only the named classes are above the floor."""
    clip_C = SILENT.copy()
    for name, strength in strengths.items():
        clip_C[NAMES.index(name.replace("_", " "))] = strength
    return clip_C


def test_scores_are_distances_from_the_mean_in_standard_deviations(make: Any) -> None:
    tags = make()
    clip_C = np.array([-3.0, -4, 2, -7, -6], np.float32)
    np.testing.assert_allclose(tags.normalise(clip_C), [1, 0, 2, 2, 0])
    np.testing.assert_allclose(tags.normalise(np.stack([clip_C, clip_C]))[1], [1, 0, 2, 2, 0])
    assert clip_C.tolist() == [-3, -4, 2, -7, -6]  # not changed


def test_rare_classes_win_over_common_ones_with_higher_scores(make: Any) -> None:
    """Wind at -5 stands out by six deviations; rain at 1 by one and a half."""
    assert make().strongest(scores(rain=1.0, gentle_wind=-5.0), 2) == [3, 2]


def test_of_equal_distances_the_higher_score_comes_first(make: Any) -> None:
    assert make().strongest(scores(dog=-2.0, rain=2.0), 2) == [2, 0]


def test_at_most_count_and_none_below_min_score(make: Any) -> None:
    tags = make(min_score=1.5)
    clip_C = scores(dog=0.0, bark=-2.0, siren=-3.5)  # 4, 2 and 1.25 deviations above
    assert tags.strongest(clip_C, 5) == [0, 1]
    assert tags.strongest(clip_C, 1) == [0]
    assert tags.strongest(SILENT, 5) == []


def test_words_of_a_short_clip(make: Any, tokenizer: Tokenizer) -> None:
    tags = make(count=2)
    ids = tags.ids(scores(dog=3.0, bark=1.0, siren=0.0), NO_STEPS)
    assert tokenizer.decode(ids) == " Heard: dog, bark."


def test_nothing_heard(make: Any, tokenizer: Tokenizer) -> None:
    tags = make()
    assert tokenizer.decode(tags.ids(SILENT, NO_STEPS)) == " Heard: nothing."
    parts = tags.ids(SILENT, np.stack([SILENT] * 8))
    assert tokenizer.decode(parts) == " Heard: nothing. Parts: nothing | nothing | nothing | nothing."


def test_parts_name_what_is_strongest_in_each_stretch(make: Any, tokenizer: Tokenizer) -> None:
    steps_TC = np.stack([scores(dog=3.0, bark=0.0, siren=9.0)] * 31 + [scores(rain=8.0)] * 31)
    text = tokenizer.decode(make(count=3).ids(steps_TC.max(0), steps_TC))
    assert text == " Heard: siren, dog, rain. Parts: siren, dog | siren, dog | rain | rain."


@pytest.mark.parametrize(
    ("steps", "parts"),
    [(1, 1), (3, 1), (4, 2), (7, 3), (8, 4), (62, 4), (63, 4), (64, 4), (94, 6), (124, 8), (620, 40)],
)
def test_number_of_parts(make: Any, tokenizer: Tokenizer, steps: int, parts: int) -> None:
    """Four up to 10 s, then one per 2.5 s; in short clips at least two encoder steps each, a single one unnamed."""
    tags = make()
    ids = tags.ids(SILENT, np.stack([SILENT] * steps))
    (bar,) = tokenizer.encode(" |")
    bars = sum(token == bar for token in ids)
    assert bars == parts - 1
    assert PARTS == 4


def test_muted_classes_are_never_named(make: Any, tokenizer: Tokenizer) -> None:
    tags = make(muted=[0, 4], count=5, min_score=-100.0)
    loud = scores(dog=30.0, siren=30.0, bark=-3.0)
    text = tokenizer.decode(tags.ids(loud, np.stack([loud] * 16)))
    assert "bark" in text
    assert "dog" not in text
    assert "siren" not in text


def test_a_dropped_class_is_not_named_even_without_a_threshold(make: Any) -> None:
    clip_C = scores(dog=3.0, bark=2.0)
    clip_C[0] = -np.inf
    assert 0 not in make(min_score=-1000.0).strongest(clip_C, 5)


def test_words_given_outright(make: Any, tokenizer: Tokenizer) -> None:
    tags = make()
    assert tokenizer.decode(tags.words(["a cat", "fog"])) == " Heard: a cat, fog."
    assert tokenizer.decode(tags.words([])) == " Heard: nothing."


def test_a_timeline_is_written_behind_the_classes(make: Any, tokenizer: Tokenizer) -> None:
    """What is likely, then events with their times in half seconds; an improbable one is called a guess."""
    tags = make(count=1, per_part=1, sounds=["dog barking", "rain"])
    timeline = Timeline([1, 0], [Event(0, 0.1, 1.9, 0.9), Event(1, 1.76, 10.08, 0.3)])
    text = tokenizer.decode(tags.write(scores(dog=3.0), NO_STEPS, timeline))
    assert text == " Heard: dog. Likely: rain, dog barking. Events: dog barking 0-2, maybe rain 2-10."
    nothing = tokenizer.decode(tags.write(SILENT, NO_STEPS, Timeline()))
    assert nothing == " Heard: nothing. Likely: nothing. Events: none."


def test_an_event_is_never_written_without_length(make: Any, tokenizer: Tokenizer) -> None:
    tags = make(sounds=["click"])
    text = tokenizer.decode(tags.write(SILENT, NO_STEPS, Timeline([], [Event(0, 12.32, 12.48, 0.9)])))
    assert text.endswith("Events: click 12.5-13.")


def test_scores_of_events_become_a_timeline(make: Any) -> None:
    tags = make(sounds=["click", "hum"])
    scores_TE = np.array([[-9.0, 4.0]] * 10 + [[-9.0, -9.0]] * 10, np.float32)
    ids = tags.ids(SILENT, np.stack([SILENT] * 20), scores_TE)
    assert ids == tags.write(SILENT, np.stack([SILENT] * 20), read_timeline(scores_TE, CLOCK))
    assert ids != tags.write(SILENT, np.stack([SILENT] * 20), Timeline())


def test_settings_survive_json(make: Any, tokenizer: Tokenizer) -> None:
    tags = make(muted=[2], count=4, min_score=0.5, sounds=["click", "hum"])
    read = TagSettings.from_dict(json.loads(json.dumps(tags.settings.to_dict())))
    again = AudioTags(read, tokenizer, CLOCK)
    steps_TC = np.random.default_rng(0).normal(-4, 4, (20, 5)).astype(np.float32)
    events_TE = np.random.default_rng(1).normal(0, 4, (20, 2)).astype(np.float32)
    assert again.ids(steps_TC.max(0), steps_TC, events_TE) == tags.ids(steps_TC.max(0), steps_TC, events_TE)
    assert read.to_dict() == tags.settings.to_dict()


@pytest.mark.parametrize("settings", [{"mean": []}, {"nmaes": []}, {"count": 0}, {"names": [1] * 5}, {"sounds": [""]}])
def test_impossible_settings_are_refused_in_one_sentence(settings: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"names": NAMES, "mean": [0.0] * 5, "std": [1.0] * 5}
    with pytest.raises(ModelError, match=r"^[A-Z].*\.$"):
        TagSettings.from_dict({**sound, **settings})
