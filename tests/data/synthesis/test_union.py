"""Type 4 is the union of Types 1 to 3 without repeated (clip, question)."""

from __future__ import annotations

from mellow.data.records import Record
from mellow.data.synthesis.union import union


def record(question: str, audio: str = "a.wav", *, type: int = 1, answer: str = "Rain.") -> Record:
    return Record(question, answer, (audio,) if audio else (), ("Rain falls",), provenance={"type": type})


def test_the_first_of_repeated_questions_stays() -> None:
    one = [record("What is it?"), record("Where?")]
    two = [
        record("what  is IT?", type=2, answer="Hail."),
        record("Why?", type=2),
        record("What is it?", "b.wav", type=2),
    ]
    three = [record("Why?", type=3), record("When?", type=3), record("When?", type=3)]
    found = list(union(one, two, three))
    assert [(r.question, r.audio[0], r.provenance["type"]) for r in found] == [
        ("What is it?", "a.wav", 1),
        ("Where?", "a.wav", 1),
        ("Why?", "a.wav", 2),
        ("What is it?", "b.wav", 2),
        ("When?", "a.wav", 3),
    ]


def test_options_are_part_of_a_question() -> None:
    one, two = record("Which? A) x B) y C) z D) w"), record("Which? A) y B) x C) z D) w", type=2)
    assert list(union([one], [two])) == [one, two]


def test_clips_without_names_go_by_captions() -> None:
    one, other = record("What?", ""), Record("What?", "Hail.", (), ("Hail falls",))
    assert list(union([one, one], [other])) == [one, other]


def test_it_is_lazy() -> None:
    def endless() -> object:
        number = 0
        while True:
            yield record(f"What is {number}?")
            number += 1

    assert next(union(endless())).question == "What is 0?"  # type: ignore[arg-type]
