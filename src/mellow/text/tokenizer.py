"""The tokenizer: user text to token ids and back, with special tokens never taken from user text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as Backend

from mellow.errors import ModelError

__all__ = ["Tokenizer"]


class Tokenizer:
    """A `tokenizer.json` whose special tokens are reached by name only.

    `<|endoftext|>` typed by a user is text: it becomes ordinary byte pairs, never id 0.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True
        self.backend.no_padding()
        self.backend.no_truncation()

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Read a `tokenizer.json`; ModelError where it is missing or damaged."""
        if not Path(path).is_file():
            raise ModelError(f"The tokenizer {path} is missing.")
        try:
            return cls(Backend.from_file(str(path)))
        except Exception as error:
            raise ModelError(f"The tokenizer {path} is damaged ({str(error).splitlines()[0]}).") from None

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, without special tokens."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; special tokens are left out."""
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def special(self, name: str) -> int | None:
        """Id of a special token, or None where the vocabulary lacks it."""
        token: int | None = self.backend.token_to_id(name)
        return token
