"""Records for the tests of filters, in one line each."""

from __future__ import annotations

from typing import Any

from mellow.data.records import Record


def open_row(question: str, answer: str, caption: str = "", **fields: Any) -> Record:
    """A detailed pair about one clip."""
    values: dict[str, Any] = {"task": "detail", "audio": ("a.wav",), "captions": (caption,) if caption else ()}
    return Record(question, answer, **{**values, **fields})


def choice_row(stem: str, options: tuple[str, ...], right: int, caption: str = "", **fields: Any) -> Record:
    """A multiple-choice pair in the published form: `What is it? A) a dog B) a cat`, answered `B) a cat`."""
    choices = tuple(f"{chr(ord('A') + place)}) {option}" for place, option in enumerate(options))
    values: dict[str, Any] = {"task": "mcq", "choices": choices, "audio": ("a.wav",)}
    values["captions"] = (caption,) if caption else ()
    return Record(f"{stem} {' '.join(choices)}", choices[right], **{**values, **fields})
