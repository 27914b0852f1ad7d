"""Every answer is true of its scene: read back from the words alone and judged by logic of the test's own."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mellow.data.scenes import phrases
from mellow.data.scenes.scene import Scene
from mellow.data.tasks import choices, compare, count, entailment, facets, nothing, order, timing, which, yesno
from mellow.data.tasks.confusable import Kin
from mellow.data.tasks.difference import draw as draw_difference
from mellow.data.tasks.view import Draw, Pair, View
from mellow.types import Example

from .tasks_scenes import SOUNDS, event, many, scene, vocabulary

TABLE = {key: phrases.sounds()[key] for key in SOUNDS}
WORDS = vocabulary()


def mentioned(text: str, *, names: bool = False) -> list[str]:
    """Keys of the sounds that a text speaks of, by place."""
    found: dict[str, int] = {}
    for key, sound in TABLE.items():
        bare = re.sub(r"^(an?|the) ", "", sound.noun)
        for words in (bare, *sound.verbs, *([sound.name] if names else [])):
            place = re.search(rf"\b{re.escape(words.lower())}\b", text.lower())
            if place and place.start() < found.get(key, len(text)):
                found[key] = place.start()
    return sorted(found, key=lambda key: found[key])


def key_of(option: str) -> str | None:
    text = option.lower().rstrip(".")
    for key, sound in TABLE.items():
        if text in {t.lower() for t in (sound.name, sound.noun, *sound.verbs, f"the sound of {sound.noun}")}:
            return key
    return None


def drawn(draw: Draw, *, scenes: int = 400, tries: int = 6) -> Iterator[tuple[Scene, Example]]:
    rng = random.Random(5)
    for s in many(scenes):
        for _ in range(tries):
            example = draw(View(s, WORDS), rng)
            if example is not None:
                yield s, example


def present(s: Scene) -> set[str]:
    return {e.sound for e in s.events}


def test_choices_hold_one_sound_that_is_heard() -> None:
    seen = 0
    for s, example in drawn(choices.draw):
        keys = {option: key_of(option) for option in example.choices}
        heard = {option for option, key in keys.items() if key in present(s)}
        right = keys[example.answer]
        if right is None:
            assert example.answer.lower() in choices.NONE
            assert not heard
        elif right in present(s):
            assert heard == {example.answer}
        else:
            assert heard == set(example.choices) - {example.answer}
        seen += 1
    assert seen > 500


def test_presence() -> None:
    seen: Counter[bool] = Counter()
    for s, example in drawn(yesno.draw):
        stem = example.question.lower()
        asked = mentioned(stem, names=True)
        if len(asked) != 1 or re.search(r"\b(first|last)\b", stem):
            continue
        yes = example.answer.lower().startswith("yes")
        assert yes == (asked[0] in present(s)), example
        seen[yes] += 1
    assert min(seen.values()) > 200


def test_order_of_two_sounds_by_yes_or_no() -> None:
    seen: Counter[str] = Counter()
    for s, example in drawn(yesno.draw, tries=12):
        asked = mentioned(example.question)
        if len(asked) != 2:
            continue
        one, two = (next(e for e in s.foreground if e.sound == key) for key in asked)
        yes = example.answer.lower().startswith("yes")
        stem = example.question.lower()
        if re.search(r"overlap|same time|together|while|both|simult|mix|at once|coincide|share", stem):
            shared = min(one.end_s, two.end_s) - max(one.onset_s, two.onset_s)
            assert yes == (shared > 0.5), example
            seen["overlap"] += 1
        else:
            turned = bool(re.search(r"heard after|come later than|comes later than", stem))
            assert yes == ((one.onset_s < two.onset_s) != turned), example
            seen["order"] += 1
    assert seen["order"] > 50


def test_first_and_last_by_yes_or_no() -> None:
    seen = 0
    for s, example in drawn(yesno.draw, tries=12):
        asked, edge = mentioned(example.question), re.search(r"\b(first|last)\b", example.question.lower())
        if len(asked) != 1 or edge is None or "i hear" in example.question.lower():
            continue
        chain = sorted((e for e in s.events if not e.is_background), key=lambda e: e.onset_s)
        right = chain[0 if edge[1] == "first" else -1].sound == asked[0]
        assert right == example.answer.lower().startswith("yes"), example
        seen += 1
    assert seen > 30


def test_order() -> None:
    seen: Counter[str] = Counter()
    after = re.compile(r"after|follow|next once|comes next")
    for s, example in drawn(order.draw):
        chain = [e.sound for e in sorted(s.foreground, key=lambda e: e.onset_s)]
        stem = example.question
        for choice in sorted(example.choices, key=len, reverse=True):
            stem = stem.replace(choice, "")
        asked, told = mentioned(stem), [k for k in mentioned(example.answer) if k not in mentioned(stem)]
        right = told or [k for k in [key_of(example.answer)] if k]
        low = stem.lower()
        listed = mentioned(example.answer, names=bool(example.choices))
        if len(listed) > 1 and not asked:
            assert listed == chain, example
            seen["sequence"] += 1
        elif len(asked) == 2:
            assert right == [chain[chain.index(asked[0]) + 1]] and chain.index(asked[1]) - chain.index(asked[0]) == 2
            seen["between"] += 1
        elif len(asked) == 1:
            step = 1 if after.search(low) and not re.search(r"comes after what", low) else -1
            if "is followed by what" in low:
                step = 1
            assert right == [chain[chain.index(asked[0]) + step]], example
            seen["next"] += 1
        elif right and re.search(r"last|end|clos|final|conclud|latest", low):
            assert right == [chain[-1]], example
            seen["last"] += 1
        elif right and re.search(r"first|begin|start|earliest|before everything|opens", low):
            assert right == [chain[0]], example
            seen["first"] += 1
    assert all(seen[kind] > 20 for kind in ("sequence", "between", "next", "last", "first")), seen


MORE = re.compile(r"\b(louder|stronger in volume|higher in pitch|brighter|more high-pitched|longer|longer-lasting)\b")
LEVEL, PITCH = re.compile("loud|volume|quiet|soft"), re.compile("pitch|bright|deep")


def test_comparisons_are_clear_and_right() -> None:
    seen: Counter[str] = Counter()
    for s, example in drawn(compare.draw, tries=10):
        text = example.question.lower()
        both = mentioned(text, names=bool(example.choices) and "yes" not in example.choices)
        if len(both) != 2:
            continue
        if text.startswith("compared with"):
            both.reverse()
        more = bool(MORE.search(text)) and "less loud" not in text
        one, two = (next(e for e in s.foreground if e.sound == key) for key in both)
        if LEVEL.search(text):
            sign, clear = one.level_db - two.level_db, abs(one.level_db - two.level_db) >= 4
        elif PITCH.search(text):
            sign = one.pitch_hz - two.pitch_hz
            clear = max(one.pitch_hz, two.pitch_hz) / min(one.pitch_hz, two.pitch_hz) >= 1.5
        else:
            sign = one.duration_s - two.duration_s
            clear = max(one.duration_s, two.duration_s) / min(one.duration_s, two.duration_s) >= 1.5
        assert clear
        right = both[0] if (sign > 0) == more else both[1]
        if example.answer.lower().startswith(("yes", "no,")) or example.answer == "no":
            assert example.answer.lower().startswith("yes") == (right == both[0]), example
            seen["yes or no"] += 1
        else:
            named = mentioned(example.answer, names=True)
            assert (named[0] if named else key_of(example.answer)) == right, example
            seen["which"] += 1
    assert min(seen.values()) > 40, seen


NUMBER = {word: n for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven"))}
NUMBER |= {"once": 1, "twice": 2} | {str(n): n for n in range(8)}


def _number(text: str) -> int:
    return next(NUMBER[word] for word in re.findall(r"\w+", text.lower()) if word in NUMBER)


def test_counts() -> None:
    seen: Counter[str] = Counter()
    for s, example in drawn(count.draw, tries=12):
        stem = example.question.split("\n")[0]
        asked = mentioned(stem, names=True)
        if set(example.choices) == {"yes", "no"}:
            repeats = next(e.repeats for e in s.events if e.sound == asked[0])
            said = re.search(r"\b(once|twice|(three|four|five|six) times)\b", stem.lower())
            assert said is not None
            assert (_number(said[0]) == repeats) == (example.answer == "yes"), example
            seen[example.answer] += 1
        elif asked:
            repeats = next(e.repeats for e in s.events if e.sound == asked[0])
            answer = example.answer.lower().removeprefix("i can hear").replace(TABLE[asked[0]].noun.lower(), "")
            assert _number(answer) == repeats, example
            seen["times"] += 1
        else:
            assert _number(example.answer) == len(present(s)), example
            seen["kinds"] += 1
    assert min(seen.values()) > 20, seen
    assert 0.35 < seen["yes"] / (seen["yes"] + seen["no"]) < 0.65


def test_times() -> None:
    seen: Counter[str] = Counter()
    for s, example in drawn(timing.draw, tries=10):
        key = mentioned(example.question.split("\n")[0])[0]
        found = next(e for e in s.events if e.sound == key)
        answer = example.answer.lower()
        for number, part in enumerate(("beginning", "middle", "end")):
            if f"the {part}" in answer:
                assert number / 3 <= found.onset_s / s.seconds <= (number + 1) / 3, example
                seen[part] += 1
        seconds = re.search(r"(\d+|half a) second", answer)
        if seconds:
            value = 0.5 if seconds[1] == "half a" else float(seconds[1])
            assert min(abs(value - found.onset_s), abs(value - found.duration_s)) <= 0.51, example
            seen["seconds"] += 1
    assert all(seen[kind] > 10 for kind in ("beginning", "middle", "end", "seconds")), seen


LABEL = re.compile("|".join(f"(?P<l{n}>{words})" for n, words in enumerate((
    r"definitely true|entailment|^true$|yes, for sure|proves it|^that is true",
    r"plausible|neutral|cannot be known|maybe|leaves it open|^that may be",
    r"definitely false|contradiction|^false$|no, it cannot|speaks against|^that is false",
))))  # fmt: skip


@pytest.mark.parametrize("kind", ["_plain", "_nearby", "_detail", "_extended", "_either"])
def test_hypotheses(kind: str) -> None:
    """For each kind the label follows from which of the sounds named are heard."""
    rng, make = random.Random(2), getattr(entailment, kind)
    labels = {"_plain": (0, 2), "_nearby": (0, 1), "_detail": (1, 2)}.get(kind, (0, 1, 2))
    seen: Counter[int] = Counter()
    for s in many(300):
        if s.nothing:
            continue
        label = rng.choice(labels)
        made = make(View(s, WORDS), rng, label)
        if made is None:
            continue
        heard = [key in present(s) for key in mentioned(made[0])]
        if kind in ("_plain", "_nearby", "_detail"):
            assert heard == [{"_plain": label == 0, "_nearby": label == 0, "_detail": label == 1}[kind]], made
        elif kind == "_extended":
            assert len(heard) == 2
            assert label == (2 if not heard[0] else 0 if heard[1] else 1), made
        else:
            assert len(heard) == 2
            assert (label == 2) == (not any(heard)) and (label != 0 or any(heard)) and (label != 1 or sum(heard) == 1)
        seen[label] += 1
    assert set(seen) == set(labels) and min(seen.values()) > 30, seen


def test_entailment_answers_carry_a_label() -> None:
    seen: Counter[str] = Counter()
    for _, example in drawn(entailment.draw, tries=3):
        found = LABEL.search(example.answer.lower())
        assert found is not None and found.lastgroup is not None, example
        seen[found.lastgroup] += 1
    assert min(seen.values()) / seen.total() > 0.25, seen


def test_nothing_is_said_of_silence_and_of_absent_sounds() -> None:
    for s, example in drawn(nothing.draw_nothing):
        assert s.nothing is not None
        words = "silen|nothing|no sound" if s.nothing == "silence" else f"nothing|only|just|{s.nothing}"
        assert re.search(words, example.answer.lower()), example
    for s, example in drawn(nothing.draw_absent, tries=2):
        if example.choices:
            assert key_of(example.answer) in present(s)
        else:
            assert not set(mentioned(example.question)) <= present(s), example
            assert re.search(r"cannot|no |do not|not ", example.answer), example


def pairs(draw: Callable[[Pair, random.Random], Example | None]) -> Iterator[tuple[Scene, Scene, Example]]:
    rng, scenes = random.Random(4), many(80)
    for _ in range(1500):
        one, two = rng.sample(scenes, 2)
        example = draw(Pair(View(one, WORDS), View(two, WORDS)), rng)
        if example is not None:
            yield one, two, example


def test_which_clip() -> None:
    seen: Counter[int] = Counter()
    for one, two, example in pairs(which.draw_which):
        asked = mentioned(example.question.split("\n")[0])
        number = 1 if re.search(r"first|\b1\b", example.answer.lower()) else 2
        seen[number] += 1
        low = example.question.lower()
        holds = (present(one), present(two))
        if asked:
            assert asked[0] in holds[number - 1] and asked[0] not in holds[2 - number], example
        elif re.search("more|fewer", low):
            sign = len(holds[number - 1]) - len(holds[2 - number])
            assert sign > 0 if "more" in low else sign < 0, example
        elif re.search("longer|shorter", low):
            ratio = (one.seconds / two.seconds) if number == 1 else (two.seconds / one.seconds)
            assert ratio >= 1.5 if "longer" in low else ratio <= 1 / 1.5, example
        else:
            levels = [max(e.level_db for e in s.events) for s in (one, two)]
            louder = levels[number - 1] - levels[2 - number]
            assert louder >= 4 if "louder" in low else louder <= -4, example
    assert abs(seen[1] - seen[2]) < 0.12 * seen.total(), seen


def test_both_clips() -> None:
    seen: Counter[str] = Counter()
    for one, two, example in pairs(which.draw_same):
        asked = mentioned(example.question)
        shared = present(one) & present(two)
        if example.choices:
            assert (example.answer == "yes") == (asked[0] in shared), example
            seen[example.answer] += 1
        else:
            assert set(mentioned(example.answer)) == shared, example
            seen["open"] += 1
    assert min(seen.values()) > 30, seen


def test_differences_speak_of_the_sounds_that_differ() -> None:
    for one, two, example in pairs(draw_difference):
        said = set(mentioned(example.answer))
        assert present(one) ^ present(two) <= said <= present(one) | present(two), example
        if "louder" in example.answer or "quieter" in example.answer:
            levels = [max(e.level_db for e in s.events) for s in (one, two)]
            assert ("louder" in example.answer) == (levels[0] > levels[1]), example


@pytest.mark.parametrize("facet", ["place", "action", "character", "category"])
def test_facet_options_share_nothing_with_the_right_one(facet: str) -> None:
    rng = random.Random(0)
    for key in SOUNDS:
        options = facets.facet_options(WORDS, rng, TABLE[key], facet, 3)
        if options is not None:
            assert len({option.lower() for option in options}) == 4


def test_kin() -> None:
    confusable = Kin(phrases.sounds())
    related = (
        ("dog", "bark"),
        ("rain", "water"),
        ("car", "vehicle"),
        ("guitar", "music"),
        ("speech", "cafe"),
        ("crow", "bird"),
    )
    for one, two in related:
        assert confusable.related(one, two) and confusable.related(two, one), (one, two)
    for one, two in (
        ("dog", "cat"),
        ("rain", "bark"),
        ("piano", "trumpet"),
        ("male_speech", "female_speech"),
        ("bee", "train"),
    ):
        assert not confusable.related(one, two), (one, two)
    assert all(confusable.related(key, key) for key in phrases.sounds())


def test_a_clip_with_one_sound_is_never_asked_for_its_order() -> None:
    s = scene(event("dog", 1.0))
    assert all(order.draw(View(s, WORDS), random.Random(n)) is None for n in range(20))
    assert all(compare.draw(View(s, WORDS), random.Random(n)) is None for n in range(20))
