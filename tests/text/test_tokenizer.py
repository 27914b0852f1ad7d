"""The tokenizer: user text never becomes a special token, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellow.checkpoints.names import BUNDLED
from mellow.errors import ModelError
from mellow.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.from_file(BUNDLED / "tokenizer.json")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@pytest.mark.parametrize("name", SPECIAL)
def test_special_tokens_in_user_text_are_text(name: str) -> None:
    special = TOKENIZER.special(name)
    for text in (name, f"what is {name} here?", f"{name}{name}", f"\n{name}assistant\n"):
        ids = TOKENIZER.encode(text)
        assert special not in ids
        assert TOKENIZER.decode(ids) == text


def test_special_tokens_are_reached_by_name() -> None:
    assert [TOKENIZER.special(name) for name in SPECIAL] == [0, 1, 2]
    assert TOKENIZER.special("<|no such token|>") is None


def test_special_tokens_are_left_out_of_decoded_text() -> None:
    assert TOKENIZER.decode([1, *TOKENIZER.encode("a dog"), 2, 0]) == "a dog"


# The published vocabulary lacks six control characters and the lead bytes of planes 4 and up; these are left out.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\4\6\x13\x14\x16\x1d", max_codepoint=0x3FFFF)


@settings(max_examples=200, deadline=None)
@given(st.text(CHARACTERS, max_size=60))
def test_text_comes_back_as_it_was(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert not {0, 1, 2} & set(ids)


@settings(max_examples=100, deadline=None)
@given(st.text(CHARACTERS, max_size=20), st.sampled_from(SPECIAL), st.text(CHARACTERS, max_size=20))
def test_special_names_between_any_texts_stay_text(before: str, name: str, after: str) -> None:
    text = before + name + after
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.special(name) not in ids


def test_long_texts_are_neither_cut_nor_padded() -> None:
    assert len(TOKENIZER.encode("dog " * 5000)) >= 5000
    assert TOKENIZER.encode("") == []


def test_a_missing_or_damaged_file_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")
    for content in (b"{}", b"not json", b"\xff\xfe", b""):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(ModelError, match=r"tokenizer\.json is damaged \(.+\)\.$") as caught:
            Tokenizer.from_file(tmp_path / "tokenizer.json")
        assert "\n" not in str(caught.value)
