"""Options that stand in a question: found in each style, and not where there are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellow.text.options import find_options

DOG_CAT = ("dog", "a cat")
THREE = ("dog", "a cat", "rain on a roof")


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("What is it? a) dog b) a cat c) rain on a roof", THREE),
        ("What is it? (a) dog (b) a cat (c) rain on a roof", THREE),
        ("What is it? A) dog, B) a cat, C) rain on a roof", THREE),
        ("What is it?\nA. dog\nB. a cat\nC. rain on a roof", THREE),
        ("What is it? A: dog B: a cat C: rain on a roof", THREE),
        ("What is it? 1. dog 2. a cat 3. rain on a roof", THREE),
        ("What is it?\n1) dog\n2) a cat\n3) rain on a roof", THREE),
        ("(1) dog (2) a cat (3) rain on a roof", THREE),
        ("What is it? Options: dog; a cat; rain on a roof", THREE),
        ("What is it? OPTIONS: dog | a cat | rain on a roof", THREE),
        ("What is it? Choices: dog / a cat / rain on a roof", THREE),
        ("What is it? Answers: dog, a cat, rain on a roof.", THREE),
        ("Pick one: dog, a cat or rain on a roof?", THREE),
        ("choose one : dog, a cat, or rain on a roof?", THREE),
        ("Choose from: [dog, a cat, rain on a roof]", THREE),
        ("Select from: dog or a cat?", DOG_CAT),
        ("Is it one of: dog; or a cat?", DOG_CAT),
        ("What is it? Options:\ndog\na cat\nrain on a roof\n", THREE),
        ("What is it? Options:\n- dog\n- a cat\n- rain on a roof", THREE),
        ("What is it?\n* dog\n* a cat", DOG_CAT),
        ("What is it?\n • dog\n • a cat", DOG_CAT),
        ("What is it? Options: a) dog b) a cat", DOG_CAT),
        ("Options: dog; a cat. Which one do you hear?", DOG_CAT),
        ("(a) dog (b) a cat. Which of them is it?", DOG_CAT),
        ("Which is it: (a) dog (b) a cat?", DOG_CAT),
        ("How high is it? Options: 3.5 kHz, 7 kHz", ("3.5 kHz", "7 kHz")),
        ("What is said? (a) Who is it? (b) What is it?", ("Who is it?", "What is it?")),
    ],
)
def test_each_style_is_understood(question: str, options: tuple[str, ...]) -> None:
    assert find_options(question) == options


@pytest.mark.parametrize(
    "question",
    [
        "",
        "What sound is this?",
        "Is it a dog or a cat?",
        "Is it louder, softer or the same?",
        "What is 3.5 kHz? a test",
        "Is there a dog (a) in it?",
        "Is the pitch 1: high?",
        "Is it A or B?",
        "What note is it: a C or a D?",
        "What are the options?",
        "Options:",
        "Options: dog",
        "Options: dog; dog",
        "Options: ; ;",
        "a) b)",
        "It says: a) only this",
        "b) dog c) cat",
        "- only one line",
        "The sound - a dog - is it loud?",
        "Plan A: run. Plan B: hide. What do they say?",
        "Meet at 1. Then 2. Then 3.",
        "Q: what is it? A: a dog",
        "The time is 1:30 or 2:45?",
    ],
)
def test_what_is_no_list_of_options(question: str) -> None:
    assert find_options(question) == ()


# Options are words without the marks of any style: what else a text may hold is a matter of the tests above.
WORDS = st.lists(st.sampled_from(["dog", "Cat", "rain", "a", "the", "7", "it's", "né", "loud", "3.5"]), min_size=2)
TEXTS = st.lists(WORDS.map(lambda words: " ".join(words[:4])), min_size=2, max_size=6, unique_by=str.lower)
STYLES = {
    "letters": lambda texts: " ".join(f"{chr(97 + n)}) {text}" for n, text in enumerate(texts)),
    "capitals": lambda texts: "\n".join(f"{chr(65 + n)}. {text}" for n, text in enumerate(texts)),
    "brackets": lambda texts: " ".join(f"({chr(65 + n)}) {text}" for n, text in enumerate(texts)),
    "numbers": lambda texts: " ".join(f"{n}. {text}" for n, text in enumerate(texts, 1)),
    "semicolons": lambda texts: f"Options: {'; '.join(texts)}",
    "bars": lambda texts: f"Options: {' | '.join(texts)}",
    "slashes": lambda texts: f"Choices: {' / '.join(texts)}",
    "commas": lambda texts: f"Pick one: {', '.join(texts[:-1])}, or {texts[-1]}?",
    "lines": lambda texts: "Options:\n" + "\n".join(texts),
    "bullets": lambda texts: "\n" + "\n".join(f"- {text}" for text in texts),
}


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=60, deadline=None)
@given(texts=TEXTS)
def test_options_written_in_a_style_are_found_again(style: str, texts: list[str]) -> None:
    question = f"What can be heard? {STYLES[style](texts)}"
    assert find_options(question) == tuple(texts)


FRAGMENTS = [
    *(
        "a) ",
        "b) ",
        "(a) ",
        "(b)",
        "1. ",
        "2. ",
        "A: ",
        "B: ",
        "i) ",
        "ii) ",
        "①",
        "②",
        "（A）",
        "- ",
        "\n- ",
        "| A | ",
    ),
    *(
        "Options: ",
        "Choose from ",
        "one of: ",
        "which of these: ",
        "; ",
        ", ",
        " or ",
        " and ",
        " | ",
        "/",
        "\n",
        "\r\n",
    ),
    *(
        "? ",
        ". ",
        "'",
        '"',
        "“",
        "[",
        "]",
        "(",
        ")",
        "**",
        "\t",
        "\u00a0",
        "dog",
        "cat",
        "Cat",
        "Answer with ",
        "Which ",
    ),
]
QUESTIONS = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.text(max_size=200)


@settings(max_examples=500, deadline=None)
@given(QUESTIONS)
def test_whatever_is_found_are_two_or_more_texts_of_the_question(question: str) -> None:
    options = find_options(question)
    assert len(options) != 1
    assert not options or len({option.casefold() for option in options}) > 1
    written = " ".join(question.split())
    assert all(option in written and option == option.strip() != "" for option in options)


def test_repeated_options_are_found_as_they_are_written() -> None:
    assert find_options("Which? (A) dog (B) cat (C) Dog (D) dog") == ("dog", "cat", "Dog", "dog")
    assert find_options("Which? Options: dog; cat; dog") == ("dog", "cat", "dog")
    assert find_options("Which? ['dog', 'cat', 'dog']") == ("dog", "cat", "dog")


ENDLESS = """
import itertools
from mellow.text.options import find_options
for size in (1, 2):
    for parts in itertools.product(FRAGMENTS[:: 1 + 6 * (size > 1)], repeat=size):
        for lead in ("", "Options: "):
            find_options((lead + "".join(parts) * 20_000)[:20_000])
find_options("Options: x" + " " * 200_000 + "y")
"""


def test_no_question_of_20000_characters_takes_long() -> None:
    """One with a cost of its length squared or worse takes minutes; all of these take some seconds."""
    script = f"FRAGMENTS = {FRAGMENTS!r}{ENDLESS}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=900)


CORPUS = Path(__file__).parent / "options_corpus.tsv"
ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\u00a0": "\u00a0"}


def corpus() -> list[tuple[str, tuple[str, ...]]]:
    """Questions, and the options in them: none for an open question."""
    rows = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines()[1:]:
        question, options = line.split("\t")
        for escape, character in ESCAPES.items():
            question = question.replace(escape, character)
        rows.append((question, tuple(filter(None, options.split("|")))))
    return rows


def test_the_corpus_is_large_and_holds_open_questions_too() -> None:
    rows = corpus()
    assert len({question for question, _ in rows}) == len(rows) >= 150
    assert sum(not options for _, options in rows) >= 0.25 * len(rows)


def test_of_the_corpus_95_percent_are_read_rightly_and_none_wrongly() -> None:
    found = [(question, options, find_options(question)) for question, options in corpus()]
    wrong = [row for row in found if row[2] not in ((), row[1])]
    missed = [row for row in found if row[2] != row[1]]
    assert wrong == []
    assert len(missed) <= 0.05 * len(found), missed
