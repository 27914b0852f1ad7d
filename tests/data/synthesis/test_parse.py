"""Outputs are read strictly: five well-formed pairs or a reason, and nothing is guessed."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellow.data.synthesis.parse import Pair, Reason, RejectedError, json_schema, parse_pairs
from mellow.data.synthesis.prompts import Kind

from .conftest import as_json, as_text, pairs

KINDS: tuple[Kind, ...] = get_args(Kind)


def expected(kind: Kind) -> list[Pair]:
    return [Pair(row["question"], row["answer"], tuple(row.get("options", ()))) for row in pairs(kind)]


def mcq(**changes: Any) -> str:
    """JSON whose third pair is changed; None removes a field."""
    rows = pairs("mcq")
    rows[2] = {name: value for name, value in (rows[2] | changes).items() if value is not None}
    return as_json(rows)


def reason(text: str, kind: Kind = "mcq", **how: Any) -> str:
    with pytest.raises(RejectedError) as caught:
        parse_pairs(text, kind, **how)
    assert caught.value.reason in get_args(Reason)
    return caught.value.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "dress",
    [
        as_json,
        as_text,
        lambda rows: json.dumps(rows),
        lambda rows: f"```json\n{as_json(rows)}\n```",
        lambda rows: f"Here are five questions:\n\n```\n{as_json(rows)}\n```\nEnjoy!",
        lambda rows: f"Here are five questions:\n\n{as_text(rows)}",
        lambda rows: as_text(rows).replace("Question:", "**Question:**").replace("Answer:", "**Answer:**"),
        lambda rows: as_text(rows).replace("Question:", "1. Question 1:").replace("\n", "\r\n"),
        lambda rows: as_text(rows).replace("Question:", "Q1:").replace("Answer:", "A1:"),
        lambda rows: as_text(rows).replace(" A) ", "\nA) ").replace(" B) ", "\nB) ").replace(" C) ", "\nC) "),
        lambda rows: (
            as_text(rows).replace("A) ", "(a) ").replace("B) ", "(b) ").replace("C) ", "(c) ").replace("D) ", "(d) ")
        ),
    ],
)
def test_what_is_well_formed(kind: Kind, dress: Any) -> None:
    assert parse_pairs(dress(pairs(kind)), kind) == expected(kind)


@pytest.mark.parametrize(
    "form", ["B", "b", "B)", "(B)", "B) Second thing", "b. second thing.", "second thing", " Second  thing."]
)
def test_an_answer_may_be_letter_words_or_both(form: str) -> None:
    options = ["First thing", "Second thing", "Third thing", "Fourth thing"]
    for written in (options, [f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True)]):
        assert parse_pairs(mcq(options=written, answer=form), "mcq")[2].answer == "Second thing"
        assert parse_pairs(mcq(options=written, answer=form), "mcq")[2].options == tuple(options)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (mcq(answer="A cat"), "answer not among options"),
        (mcq(answer="E"), "answer not among options"),
        (mcq(answer="A) A dog barking"), "answer not among options"),
        (mcq(answer="A dog barking and a bell"), "answer not among options"),
        (mcq(options=["x", "y", "X ", "z"], answer="y"), "repeated option"),
        (mcq(options=["A) x", "B) y", "C) x", "D) z"], answer="y"), "repeated option"),
        (mcq(options=["A) x", "C) y", "B) v", "D) z"], answer="y"), "letters out of order"),
        (mcq(options=["A) x", "y", "v", "z"], answer="y"), "letters out of order"),
        (mcq(options=["x", "y", "z"], answer="y"), "wrong number of options"),
        (mcq(options=["x", "y", "z", "v", "w"], answer="y"), "wrong number of options"),
        (mcq(options="x, y, z, v", answer="y"), "wrong number of options"),
        (mcq(options=["x", "y", "", "v"], answer="y"), "missing field"),
        (mcq(options=["x", "y", 3, "v"], answer="y"), "missing field"),
        (mcq(answer=None), "missing field"),
        (mcq(options=None), "missing field"),
        (mcq(question=" "), "missing field"),
        (mcq(question=7), "missing field"),
        (mcq(hint="listen"), "missing field"),
        (mcq(question="..."), "placeholder"),
        (mcq(question="Which sound is number 1?"), "repeated question"),
        (mcq(question="Which?\ud800"), "unreadable"),
        (mcq(question="Which?\x1b[31m"), "unreadable"),
        (mcq(question="I'm sorry, but I cannot hear the recording."), "refusal"),
        (as_json(pairs(count=4)), "wrong number of pairs"),
        (as_json(pairs(count=6)), "wrong number of pairs"),
        (as_text(pairs(count=4)), "wrong number of pairs"),
        ("[]", "wrong number of pairs"),
        ("{}", "unreadable"),
        ('{"pairs": 5}', "unreadable"),
        ('{"pairs": [' + "[" * 100_000, "unreadable"),
        ("[" + "9" * 10_000 + "]", "unreadable"),
        (as_json(pairs()) + " and more", "unreadable"),
        ("", "unreadable"),
        ("The rain in Spain stays mainly in the plain. " * 50, "unreadable"),
        ("Question: a? A) x B) y C) z D) w\nQuestion: b?\nAnswer: x\nAnswer: y", "unreadable"),
        (as_text(pairs()) + "\n\nLet me know if you need more questions!", "unreadable"),
        (as_text(pairs()[:4]) + "\n\nQuestion: Which one is", "cut off"),
        (as_text(pairs())[:-4], "answer not among options"),
        (as_text(pairs()).replace("D) Steps on gravel", ""), "wrong number of options"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("I’m sorry, I can’t help with that.", "refusal"),
        ("Sorry, but that is not possible.", "refusal"),
        ("As an AI language model, I do not hear.", "refusal"),
        ("Unfortunately, I am not able to listen to recordings.", "refusal"),
        ("I cannot create questions about violence.", "refusal"),
        ("My apologies, this goes against the rules.", "refusal"),
    ],
)
def test_what_is_rejected(text: str, why: str) -> None:
    assert reason(text) == why


def test_a_line_break_in_a_json_string_is_a_space() -> None:
    """Against the standard, and what the grammars of some servers let through."""
    text = mcq(question="Which\nsound?").replace("\\n", "\n")
    assert parse_pairs(text, "mcq")[2].question == "Which sound?"


def test_a_limit_of_tokens_cuts_even_what_looks_whole() -> None:
    assert reason(as_json(pairs()), is_cut=True) == "cut off"


@pytest.mark.parametrize("kind", KINDS)
def test_json_cut_anywhere_is_never_accepted(kind: Kind) -> None:
    """And nearly always known as cut; within a literal no parser can tell."""
    whole = as_json(pairs(kind))
    reasons = [reason(whole[:length], kind) for length in range(1, len(whole))]
    assert reasons.count("cut off") > 0.98 * len(reasons)
    assert reason(f"```json\n{whole[:-30]}", kind) == "cut off"


@pytest.mark.parametrize("kind", KINDS)
def test_one_form_is_not_the_other(kind: Kind) -> None:
    other: Kind = "detail" if kind == "mcq" else "mcq"
    assert reason(as_json(pairs(other)), kind) == "missing field"


@given(st.text(), st.sampled_from(KINDS))
def test_any_text_is_pairs_or_a_reason(text: str, kind: Kind) -> None:
    assert reason(text, kind)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_pairs_or_a_reason(value: object) -> None:
    assert reason(json.dumps({"pairs": value}), "detail")


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_of_the_strict_subset(kind: Kind) -> None:
    """Every object closed, every property required: what OpenAI's strict mode demands."""

    def objects(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            inner = [found for value in node.values() for found in objects(value)]
            return inner + ([node] if node.get("type") == "object" else [])
        return []

    schema = json_schema(kind)
    assert len(objects(schema)) == 2
    for node in objects(schema):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    item = schema["properties"]["pairs"]["items"]
    assert all(list(row) == item["required"] for row in pairs(kind))


def test_options_are_part_of_the_question() -> None:
    pair = Pair("Which is it?", "b", ("a", "b", "c", "d"))
    assert pair.question_with_options() == "Which is it? A) a B) b C) c D) d"
    assert Pair("What is it?", "A bell.").question_with_options() == "What is it?"
