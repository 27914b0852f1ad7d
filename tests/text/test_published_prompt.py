"""The published layout in ids: 129 question tokens, two clips always, trained forms of options and answers."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellow.errors import QuestionError
from mellow.text.prompt import AUDIO, CLIP, ClipTokens, CompactPrompt, Prompt, expand
from mellow.text.published_prompt import PAD, QUESTION_TOKENS, SEPARATOR, PublishedPrompt
from mellow.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def prompt(tokenizer: Tokenizer) -> PublishedPrompt:
    return PublishedPrompt(tokenizer)


def test_constants_are_those_of_the_vocabulary(tokenizer: Tokenizer, prompt: PublishedPrompt) -> None:
    assert tokenizer.special("<|endoftext|>") == SEPARATOR == 0
    assert tokenizer.encode("!") == [PAD] == [17]
    assert prompt.stop_ids == (0,)
    assert prompt.answer("a dog barks") == [*tokenizer.encode("a dog barks"), 216, 0]  # ` <|endoftext|>`, as trained


def test_389_positions(prompt: PublishedPrompt) -> None:
    clips = [ClipTokens(129), ClipTokens(129)]
    ids = expand(prompt.prefix(2), clips) + prompt.question("what is this?")
    assert len(ids) == 389
    assert [n for n, token in enumerate(ids[:260]) if token != AUDIO] == [129, 259]
    assert ids[129] == ids[259] == SEPARATOR


def test_a_single_clip_fills_both_slots(prompt: PublishedPrompt) -> None:
    assert prompt.prefix(1) == prompt.prefix(2) == [CLIP, SEPARATOR, CLIP, SEPARATOR]
    assert prompt.slots(["dog"]) == ["dog", "dog"]
    assert prompt.slots(["dog", "cat"]) == ["dog", "cat"]
    assert prompt.prefix(0) == [SEPARATOR, SEPARATOR]
    assert prompt.slots([]) == []


@given(st.lists(st.integers(0, 49151), max_size=200))
def test_padding_keeps_the_beginning(ids: list[int]) -> None:
    padded = PublishedPrompt(None).pad(ids)  # type: ignore[arg-type]
    kept = min(len(ids), QUESTION_TOKENS)
    assert len(padded) == QUESTION_TOKENS
    assert padded[:kept] == ids[:kept]
    assert set(padded[kept:]) <= {PAD}


def test_a_question_that_is_cut_is_logged(prompt: PublishedPrompt, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(prompt.question("dog " * 128)) == QUESTION_TOKENS
        assert not caplog.records
        assert len(prompt.question("dog " * 200)) == QUESTION_TOKENS
    assert "201 tokens" in caplog.text


def test_text_is_as_typed(prompt: PublishedPrompt, tokenizer: Tokenizer) -> None:
    assert prompt.write(" What IS this? ") == " What IS this? "
    assert prompt.question(" What") == prompt.pad(tokenizer.encode(" What"))
    assert SEPARATOR not in prompt.question("say <|endoftext|> now")


def test_options_as_trained(prompt: PublishedPrompt, tokenizer: Tokenizer) -> None:
    assert prompt.write("Which? ", ["a dog", "rain"]) == "Which? a) a dog b) rain"
    assert prompt.options(["a dog", "rain"]) == [prompt.answer("a) a dog"), prompt.answer("b) rain")]
    binary = "Does it rain? Answer only using yes or no."
    assert prompt.write("Does it rain?", ["Yes", "no"]) == prompt.write(binary, ["yes", "no"]) == binary
    assert prompt.options(["No", "yes"]) == [prompt.answer("no"), prompt.answer("yes")]


def test_more_options_than_letters(prompt: PublishedPrompt) -> None:
    options = [f"sound {n}" for n in range(27)]
    assert prompt.write("Which?", options[:26]).endswith(" z) sound 25")
    with pytest.raises(QuestionError, match="at most 26, not 27"):
        prompt.write("Which?", options)


def test_both_layouts_have_one_interface(tokenizer: Tokenizer) -> None:
    for prompt in (CompactPrompt(tokenizer), PublishedPrompt(tokenizer)):
        same: Prompt = prompt
        names = [name for name in vars(Prompt) if not name.startswith("_")]
        assert len(names) >= 8
        assert all(hasattr(same, name) for name in names)
