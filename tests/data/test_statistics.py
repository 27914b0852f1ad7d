"""Counts of words: as the paper's appendix makes them, on the pairs that it prints, and on a few of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.records import Record, Task
from mellow.data.show import pairs_of
from mellow.data.statistics import Statistics, audio_words, type_of, words_apart
from mellow.data.wording import content_words, roots, stem_of, stop_words, words
from mellow.errors import DataError


def pair(
    question: str, answer: str, type_: str = "1", task: Task = "detail", clip: str = "a.wav", source: str = "clotho"
) -> Record:
    return Record(question, answer, (clip,), ("A dog barks",), task=task, source=source, provenance={"type": type_})


def printed_pairs(paper: str) -> list[tuple[str, str, str]]:
    """Type, question and answer of Tables 10, 11, 13, 16 and 17."""
    found, type_, question = [], "", ""
    for line in paper.splitlines():
        line = line.strip().rstrip("|").strip()
        if line.startswith("Caption: ") or line == "ReasonAQA examples":
            type_ = "Type 1"
        elif line in ("Type 1", "Type 2", "Type 3"):
            type_ = line
        elif line.startswith("Sample: ") or line == "OpenAQA examples":
            type_ = ""
        elif line.startswith("Question: "):
            question = line.removeprefix("Question: ")
        elif line.startswith("Answer: ") and type_:
            found.append((type_, question, line.removeprefix("Answer: ")))
    return found


def test_the_pairs_that_the_paper_prints_count_as_in_its_tables(shared: Callable[[str], Path]) -> None:
    """Table 9 has 3.01 and 25.65 words for detailed pairs, 11.39 and 2.31 for multiple choice, over 430 000 of them."""
    counted = Statistics()
    for type_, question, answer in printed_pairs(shared("seed/mellow-paper.txt").read_text(encoding="utf-8")):
        task: Task = "mcq" if re.match(r"[a-dA-D]\) ", answer) else "detail"
        counted.observe(Record(question, answer, ("x.wav",), task=task, provenance={"type": type_}))
    words_, plainly, *_ = counted.sections()
    detail, mcq = words_.rows["Type 1 Detail overall"], words_.rows["Type 1 MCQ overall"]
    assert (detail["pairs"], mcq["pairs"]) == (15, 10)
    assert detail["question: words"] == pytest.approx(3.5, abs=0.1)
    assert detail["answer: words"] == pytest.approx(25.4, abs=0.3)
    assert mcq["question: words"] == pytest.approx(12.4, abs=0.3)
    assert mcq["answer: words"] == pytest.approx(2.3, abs=0.15)
    plain = plainly.rows["Type 1 Detail overall"]
    assert (plain["question: words"], plain["answer: words"]) == (
        pytest.approx(8.7, abs=0.1),
        pytest.approx(45.5, abs=0.7),
    )
    assert plainly.rows["Type 1 MCQ overall"]["question: words"] == pytest.approx(26.7, abs=0.1)


def test_counts_by_source_and_overall() -> None:
    counted = Statistics()
    counted.observe(pair("What is the loud sound?", "A very loud dog."))
    counted.observe(pair("What is the dog?", "A loud dog.", source="audiocaps"))
    words_, plainly, audio, *rest = counted.sections()
    assert list(words_.rows) == ["Type 1 Detail audiocaps", "Type 1 Detail clotho", "Type 1 Detail overall"]
    assert words_.rows["Type 1 Detail overall"] == {
        "pairs": 2,
        "question: words": 1.5,
        "question: vocabulary": 3,
        "answer: words": 2.0,
        "answer: vocabulary": 2,
    }
    assert plainly.rows["Type 1 Detail clotho"]["answer: words"] == 4
    assert plainly.rows["Type 1 Detail overall"]["answer: vocabulary"] == 4
    assert audio.rows["Type 1 Detail answer"]["acoustic properties"] == "loud 2"
    assert rest == []


def test_words_that_set_types_apart() -> None:
    counted = Statistics()
    for _ in range(10):
        counted.observe(pair("What is the sound?", "A dog barks.", "1"))
        counted.observe(pair("What can be inferred of the setting?", "Likely a dog barks, barks and barks.", "2"))
    section = counted.sections()[-1]
    assert section.title == "Words of Type 2 beside Type 1 (Fig. 9)"
    assert section.rows["Detail answer"]["only in Type 2"] == "likely 10"
    assert section.rows["Detail answer"]["more often in Type 2"] == "barks x1.2"
    assert section.rows["Detail question"]["only in Type 2"] == "inferred 10, setting 10"


def test_words_apart_of_counts() -> None:
    from collections import Counter

    lacking, more = words_apart(Counter(a=90, b=10), Counter(a=50, b=40, c=10, d=2))
    assert lacking == [("c", 10)]
    assert [(word, round(times, 2)) for word, times in more] == [("b", 3.92)]


@pytest.mark.parametrize(("told", "name"), [("1", "Type 1"), (2, "Type 2"), ("published", "published"), ("", "mine")])
def test_types(told: str | int, name: str) -> None:
    assert type_of(Record("q", "a", provenance={"type": told}), "mine") == name


def test_what_a_word_is() -> None:
    assert words("High-frequency, 0.5 s; the dog's bark!") == ("high", "frequency", "0.5", "s", "the", "dog's", "bark")
    assert content_words("What is the loud sound?") == ("loud", "sound")
    assert roots("Talking dogs were running") == roots("a dog talks and runs")
    assert 100 < len(stop_words()) < 130
    assert not stop_words() & set().union(*audio_words().values())


@pytest.mark.parametrize(
    ("question", "stem"),
    [
        ("What is it? A) a dog B) a cat", "What is it?"),
        ("What is it?\n(a) a dog\n(b) a cat", "What is it?"),
        ("Which one? Options: a dog, a cat, a cow", "Which one?"),
        ("What is it?", "What is it?"),
        ("Is it a dog?", "Is it a dog?"),
    ],
)
def test_stems(question: str, stem: str) -> None:
    assert stem_of(Record(question, "a dog", task="mcq")) == stem


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from mellow.data.statistics_plots import write_pictures

    counted = Statistics()
    for n in range(8):
        counted.observe(pair("What is the loud sound event?", f"A gentle likely sound {n}.", "1"))
        counted.observe(pair("What is the loud loud setting?", f"A gentle gentle likely sound {n}.", "2"))
    written = write_pictures(counted, tmp_path / "new")
    assert [path.name for path in written] == [
        "audio-words-type-1.png",
        "audio-words-type-2.png",
        "words-apart-type-2.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


# --- show -------------------------------------------------------------------------------------------------------------


def test_one_clips_pairs_by_type_and_kind() -> None:
    rows = [
        pair("What is loud?", "A dog.", "2"),
        pair("Which? A) a dog B) a cat", "A) a dog", "1", task="mcq"),
        pair("What is soft?", "A cat.", "1", clip="x/a.flac"),
        pair("Not this one?", "No, not this.", "1", clip="b.wav"),
        pair("What is high?", "A bird.", "1"),
    ]
    found = pairs_of("somewhere/a.wav", [("", row) for row in rows])
    assert list(found.captions) == ["A dog barks"]
    assert [(type_, kind, [row.question for row in listed]) for type_, kind, listed in found.ordered()] == [
        ("Type 1", "MCQ", ["Which? A) a dog B) a cat"]),
        ("Type 1", "Detail", ["What is soft?", "What is high?"]),
        ("Type 2", "Detail", ["What is loud?"]),
    ]
    with pytest.raises(DataError, match=r"about the clip 'c\.wav'; there are, for example, a, b"):
        pairs_of("c.wav", [("", row) for row in rows])
