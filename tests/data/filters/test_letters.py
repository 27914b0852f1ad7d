"""Options in an order of their own: balanced, repeatable, and with every reference kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellow.data.filters.choices import answer_is_no_option
from mellow.data.filters.letters import rebalanced
from mellow.data.records import Record
from mellow.text.options import find_options

from .rows import choice_row

OPTIONS = ("Bird chirping", "Wind blowing", "Rain falling", "Ocean waves crashing")


def test_places_become_even() -> None:
    rows = [choice_row("What is heard?", OPTIONS, 1, audio=(f"{n}.wav",)) for n in range(2000)]
    moved = [rebalanced(row) for row in rows]
    places = Counter(row.choices.index(row.answer) for row in moved)
    assert all(420 < places[place] < 580 for place in range(4))
    assert {row.answer[3:] for row in moved} == {"Wind blowing"}


def test_letters_question_and_answer_agree() -> None:
    made = next(
        row for n in range(9) if (row := rebalanced(choice_row("What?", OPTIONS, 1, audio=(f"{n}",)))).answer[0] != "B"
    )
    assert [choice[:2] for choice in made.choices] == ["A)", "B)", "C)", "D)"]
    assert made.question == f"What? {' '.join(made.choices)}"
    assert made.answer.endswith("Wind blowing") and made.answer in made.choices
    assert answer_is_no_option(made) is None


@given(
    st.lists(
        st.text("abcdefg hij", min_size=1, max_size=12).map(str.strip).filter(bool), min_size=2, max_size=6, unique=True
    ),
    st.integers(0, 5),
    st.integers(0, 3),
)
def test_nothing_is_lost(options: list[str], right: int, seed: int) -> None:
    row = choice_row("Which one is it?", tuple(options), right % len(options))
    moved = rebalanced(row, seed)
    assert sorted(choice[3:] for choice in moved.choices) == sorted(choice[3:] for choice in row.choices)
    assert moved.answer[3:] == row.answer[3:] and moved.answer in moved.choices
    assert rebalanced(moved, seed) == moved, "twice is once"


def test_without_letters() -> None:
    row = Record("Which one?", "rain", ("a.wav",), (), ("rain", "wind", "hail"), task="mcq")
    orders = {rebalanced(row, seed).choices for seed in range(30)}
    assert len(orders) == 6
    assert all(rebalanced(row, seed).question == "Which one?" for seed in range(5))


def test_options_in_a_sentence() -> None:
    row = Record("Is it rain, wind or hail?", "rain", ("a.wav",), (), ("rain", "wind", "hail"), task="mcq")
    made = rebalanced(row, next(seed for seed in range(9) if rebalanced(row, seed).choices != row.choices))
    assert made.question == "Is it {}, {} or {}?".format(*made.choices)


@pytest.mark.parametrize(
    "row",
    [
        choice_row("What?", ("A man", "A dog", "Both A and B", "None of the above"), 2),
        choice_row("How many?", ("1", "2", "3", "4"), 1),
        choice_row("Is the first option right?", OPTIONS, 1),
        choice_row("What?", ("a dog", "a dog", "a cat"), 0),
        Record("Is it loud?", "yes", ("a.wav",), (), ("yes", "no"), task="binary"),
        Record("What?", "A dog.", ("a.wav",)),
        replace(choice_row("What?", OPTIONS, 0), question="What is it: A) Wind blowing B) Bird chirping"),
    ],
)
def test_what_must_stay(row: Record) -> None:
    assert all(rebalanced(row, seed) == row for seed in range(8))


def test_the_question_is_still_a_list_of_options() -> None:
    for seed in range(8):
        made = rebalanced(choice_row("What is heard?", OPTIONS, 2), seed)
        assert find_options(made.question) == tuple(choice[3:] for choice in made.choices)
