"""What holds for the questions of every family: form, balance, determinism, and no held-out sound."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict

import pytest

from mellow.data.scenes import phrases
from mellow.data.tasks import (
    PAIR_TASKS,
    TASKS,
    choices,
    examples_for_pair,
    examples_for_scene,
    examples_without_audio,
    open_vocabulary,
)
from mellow.data.tasks.view import View
from mellow.types import Example

from .conftest import HELD_OUT
from .tasks_scenes import SOUNDS, event, many, scene, vocabulary

COUNT = 300


@pytest.fixture(scope="module")
def drawn() -> list[Example]:
    rng, words, scenes = random.Random(1), vocabulary(), many(COUNT)
    found = [example for s in scenes for example in examples_for_scene(s, rng, count=10, vocabulary=words)]
    for _ in range(COUNT):
        first, second = rng.sample(scenes, 2)
        found += examples_for_pair(first, second, rng, count=3, vocabulary=words)
    return found + examples_without_audio(rng, count=COUNT)


def test_every_family_is_drawn(drawn: list[Example]) -> None:
    assert {example.task for example in drawn} == {*TASKS, *PAIR_TASKS, "practice"}


def test_texts_are_clean(drawn: list[Example]) -> None:
    for example in drawn:
        for text in (example.question, example.answer, *example.choices):
            assert text == text.strip() and text, example
            assert not re.search(
                r"  |[{}]|\ba a\b|\ba an\b|\bthe the\b|\ba the\b|\.\.|,,|\?\?|\bNone\b(?! of|\.)", text
            ), text


def test_closed_answers_are_options_and_options_are_shown(drawn: list[Example]) -> None:
    for example in drawn:
        if not example.choices:
            continue
        assert example.answer in example.choices, example
        assert len({choice.lower() for choice in example.choices}) == len(example.choices), example
        if set(example.choices) != {"yes", "no"}:
            assert all(choice in example.question for choice in example.choices), example


def test_right_options_stand_in_all_places(drawn: list[Example]) -> None:
    places: Counter[int] = Counter()
    for example in drawn:
        if len(example.choices) == 4:
            places[example.choices.index(example.answer)] += 1
    assert all(0.2 < places[place] / places.total() < 0.3 for place in range(4)), places


@pytest.mark.parametrize("task", ["yesno", "compare", "practice", "same"])
def test_yes_and_no_are_balanced(drawn: list[Example], task: str) -> None:
    answers = [e.answer.lower().startswith("yes") for e in drawn if e.task == task and set(e.choices) == {"yes", "no"}]
    assert len(answers) > 20
    assert abs(sum(answers) / len(answers) - 0.5) < 2.5 * 0.5 / len(answers) ** 0.5 + 0.02


def test_audio_and_group_name_the_clips(drawn: list[Example]) -> None:
    for example in drawn:
        names = [path.removeprefix("audio/").removesuffix(".flac") for path in example.audio]
        assert len(names) == (2 if example.task in PAIR_TASKS else 0 if example.heard else 1)
        if names:
            assert example.group == "+".join(names)
        assert bool(example.heard) == (example.task == "practice")


def test_questions_of_a_scene_differ() -> None:
    for s in many(20):
        found = examples_for_scene(s, random.Random(0), count=12, vocabulary=vocabulary())
        assert len({example.question for example in found}) == len(found) == 12


def test_equal_seeds_give_equal_examples() -> None:
    words, scenes = vocabulary(), many(10)
    one, two = (
        [examples_for_scene(s, random.Random(7), count=5, vocabulary=words) for s in scenes]
        + [examples_for_pair(scenes[0], scenes[1], random.Random(7), count=3, vocabulary=words)]
        + [examples_without_audio(random.Random(7), count=5)]
        for _ in range(2)
    )
    assert one == two


def _held_out_words() -> dict[str, str]:
    table = phrases.sounds()
    others = {t for k, s in table.items() if k not in HELD_OUT for t in (s.noun, *s.verbs, s.action)}
    texts = {t: k for k in HELD_OUT for t in (table[k].noun, *table[k].verbs, table[k].action)}
    return {text.lower(): key for text, key in texts.items() if text not in others}


def test_held_out_sounds_appear_nowhere() -> None:
    hidden = _held_out_words()
    everything = open_vocabulary(HELD_OUT)
    rng = random.Random(3)
    found = [e for s in many(150) for e in examples_for_scene(s, rng, count=6, vocabulary=everything)]
    found += examples_without_audio(rng, count=800, vocabulary=everything)
    names = {phrases.sounds()[key].name for key in HELD_OUT}
    for example in found:
        assert not names & {*example.heard, *(choice.lower() for choice in example.choices)}, example
        text = f"{example.question} {example.answer}".lower()
        assert not [words for words in hidden if re.search(rf"\b{re.escape(words)}\b", text)], example


def test_held_out_scenes_draw_from_held_out_sounds() -> None:
    keys = tuple(sorted(HELD_OUT))
    names = {phrases.sounds()[key].name for key in keys}
    words = vocabulary(keys)
    rng = random.Random(0)
    closed = [
        example
        for s in many(100, split="held_out", keys=keys)
        for example in examples_for_scene(s, rng, count=6, vocabulary=words)
        if example.task == "choices" and example.answer.lower() in names
    ]
    assert len(closed) > 10
    for example in closed:
        assert {choice.lower() for choice in example.choices} <= names | set(choices.NONE)


def test_practice_covers_the_table() -> None:
    found = examples_without_audio(random.Random(0), count=4000)
    asked = {example.group.removeprefix("words/") for example in found}
    assert asked <= set(open_vocabulary().keys)
    assert len(asked) > 0.95 * len(open_vocabulary().keys)


def test_practice_answers_speak_of_the_strongest_name() -> None:
    table = phrases.sounds()
    for example in examples_without_audio(random.Random(1), count=500):
        key = example.group.removeprefix("words/")
        sound = table[key]
        assert example.heard[0] == sound.name
        assert 2 <= len(example.heard) <= 6 and len(set(example.heard)) == len(example.heard)
        own = {t.lower() for t in (sound.name, sound.noun, *sound.verbs)}
        words = {t.lower() for s in table.values() for t in (s.name, s.noun, *s.verbs)}
        if example.choices and {c.lower() for c in example.choices} <= words:
            assert example.answer.lower() in own


def test_templates_do_not_give_the_answer_away() -> None:
    """The same wording of a presence question is answered by yes about as often as by no."""
    s = scene(event("dog", 1.0))
    words = vocabulary()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    rng = random.Random(0)
    for example in (TASKS["yesno"].draw(View(s, words), rng) for _ in range(3000)):
        assert example is not None
        if example.choices:
            counts[example.answer][example.question.split()[0].lower()] += 1
    for word in counts["yes"]:
        total = counts["yes"][word] + counts["no"][word]
        if total > 100:
            assert 0.35 < counts["yes"][word] / total < 0.65, word


def test_every_sound_of_these_tests_is_known() -> None:
    assert set(SOUNDS) <= set(phrases.sounds()) - HELD_OUT
