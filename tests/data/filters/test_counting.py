"""Filters that see all rows first: repeated questions, and questions that text alone answers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

pytest.importorskip("sklearn")

from mellow.data.filters.apply import in_chunks
from mellow.data.filters.base import fit
from mellow.data.filters.judge import Judge
from mellow.data.filters.repeated import RepeatedQuestions
from mellow.data.filters.text_only import Sample, TextOnlyFilter
from mellow.data.records import Record

from .rows import choice_row, open_row

SOUNDS = "rain wind thunder dog cat cow engine siren bell flute drum piano".split()  # noqa: SIM905


def rows_of(question: str, count: int, task: str = "detail") -> list[Record]:
    return [open_row(question, f"It is loud {n}.", audio=(f"{question[:4]}{n}.wav",), task=task) for n in range(count)]


def test_of_a_repeated_question_about_as_many_as_the_limit_are_kept() -> None:
    often, seldom = rows_of("What is the sound event?", 1000), rows_of("Is that a gong at dusk?", 30)
    repeated = RepeatedQuestions(most=0.05, least=10)
    fit([repeated], [*often, *seldom])
    kept = [row for row, reason in zip(often, repeated.reasons(often), strict=True) if reason is None]
    assert 25 < len(kept) < 85  # 51 allowed
    assert repeated.reasons(seldom) == [None] * 30
    again = RepeatedQuestions(most=0.05, least=10)
    fit([again], [*seldom, *often[::-1]])
    assert [row for row, reason in zip(often, again.reasons(often), strict=True) if reason is None] == kept
    assert "asked 1000 times; at most 51" in next(filter(None, repeated.reasons(often)))


def test_case_marks_and_options_do_not_make_a_question_another() -> None:
    rows = [choice_row(f"What is{' ' * (n % 3)} HEARD{'?' * (n % 2)}", (f"a{n}", f"b{n}"), 0) for n in range(100)]
    repeated = RepeatedQuestions(most=0.01, least=5)
    fit([repeated], rows)
    assert sum(reason is not None for reason in repeated.reasons(rows)) > 80


def test_templates_may_be_repeated() -> None:
    rows = rows_of("explain the difference in few words", 500, task="difference")
    repeated = RepeatedQuestions(least=5)
    fit([repeated], rows)
    assert not any(repeated.reasons(rows))


def guessing_rows(count: int, *, leak: bool, seed: int = 0) -> list[Record]:
    """Four sounds, one of which is right; where they leak, the right one is always told with an adjective."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        options = rng.sample(SOUNDS, 4)
        right = rng.randrange(4)
        if leak:
            options[right] = f"gentle {options[right]}"
        rows.append(choice_row("What is heard?", tuple(options), right, audio=(f"{number}.wav",)))
    return rows


@pytest.mark.parametrize(("leak", "low", "high"), [(True, 0.9, 1.0), (False, 0.0, 0.1)])
def test_what_a_model_of_text_knows_is_rejected(leak: bool, low: float, high: float) -> None:
    rows = guessing_rows(1500, leak=leak)
    by_text = TextOnlyFilter()
    fit([by_text], rows)
    found = [reason for chunk in in_chunks(rows, 100) for reason in by_text.reasons(chunk)]
    assert low <= sum(map(bool, found)) / len(rows) <= high
    assert found == by_text.reasons(rows), "the size of a chunk changes nothing"


def test_it_judges_clips_that_it_was_not_fitted_on() -> None:
    """Answers that go by the clip's own words are not known for other clips."""
    rows = [
        choice_row("What is heard?", (f"x{n}", f"y{n}", f"z{n}"), n % 3, audio=(f"{n}.wav",))
        for n in range(300)
        for _ in range(5)
    ]
    by_text = TextOnlyFilter()
    fit([by_text], rows)
    assert sum(map(bool, by_text.reasons(rows))) < 0.1 * len(rows)


def test_labels_that_the_question_gives_away() -> None:
    rng = random.Random(1)
    rows = []
    for number in range(600):
        is_true = rng.random() < 0.5
        words = rng.sample(SOUNDS, 3) + (["definitely"] if is_true else ["possibly"])
        rng.shuffle(words)
        question = f'Is this so: "{" ".join(words)}"?'
        rows.append(Record(question, "yes" if is_true else "no", (f"{number}.wav",), (), ("yes", "no"), task="binary"))
    by_text = TextOnlyFilter()
    fit([by_text], rows)
    assert sum(map(bool, by_text.reasons(rows))) > 0.9 * len(rows)


def test_few_rows_and_equal_questions_are_judged_by_nobody() -> None:
    same = [Record("Which?", "ab"[n % 2], (f"{n}.wav",), (), ("a", "b"), task="mcq") for n in range(300)]
    for rows in (guessing_rows(20, leak=True), same):
        by_text = TextOnlyFilter()
        fit([by_text], rows)
        assert not any(by_text.reasons(rows))


def test_a_sample_is_the_same_in_any_order_and_even() -> None:
    rows = rows_of("What is the sound event?", 2000)
    one, other = Sample(200), Sample(200)
    for row in rows:
        one.add(row)
    for row in rows[::-1]:
        other.add(row)
    assert one.records() == other.records()[::-1]
    places = [rows.index(row) for row in one.records()]
    assert places == sorted(places)
    assert 60 < sum(place < 1000 for place in places) < 140


def test_a_judge_is_asked_and_its_nonsense_rejects_nothing() -> None:
    said = iter(["Yes.", "no", "Well, it depends", "", " YES, since it is known"])
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(said)

    judge = Judge(ask)
    rows = [open_row(f"What is {{answer}} {n}?", f"Loud {n}.") for n in range(5)]
    assert [bool(reason) for reason in judge.reasons(rows)] == [True, False, False, False, True]
    assert judge.unclear == 2
    assert Counter("Question: What is" in prompt for prompt in prompts) == {True: 5}
    assert "Answer: Loud 3." in prompts[3]
