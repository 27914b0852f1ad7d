"""Anybody's table: which of its columns are audio, captions, question, answer and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from mellow.data.records import CaptionedClip, Record, Split
from mellow.data.sources.audio import clip_path
from mellow.data.sources.published import letters, listed_texts
from mellow.data.sources.report import SourceReport
from mellow.errors import DataError

__all__ = ["Columns", "to_item"]


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns; without `question` its rows are captioned clips, with it questions.

    audio: one column, or two of questions about two clips; captions, choices: columns with one text each, or one
    column with a list of them.
    id: a column without repeated values; split: a column with `train`, `val` or `test`; source, licence: of all rows.
    """

    audio: tuple[str, ...] = ("audio",)
    captions: tuple[str, ...] = ()
    question: str = ""
    answer: str = ""
    choices: tuple[str, ...] = ()
    split: str = ""
    id: str = ""
    source: str = "table"
    licence: str = ""

    def __post_init__(self) -> None:
        if bool(self.question) != bool(self.answer):
            raise DataError("A table of questions needs both columns, question and answer; name the other one.")
        if not self.question and not (self.captions and len(self.audio) == 1):
            raise DataError("A table of captions needs one column audio and a column captions; name them.")
        if len(self.audio) > 2:
            raise DataError(f"A question is about two clips at most, not the {len(self.audio)} columns named as audio.")

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that a table must have."""
        texts = (self.question, self.answer, self.split, self.id)
        return (*self.audio, *self.captions, *self.choices, *(name for name in texts if name))


def to_item(
    row: Mapping[str, Any],
    columns: Columns,
    *,
    split: Split,
    where: str,
    provenance: Mapping[str, str | int],
    report: SourceReport,
) -> CaptionedClip | Record | None:
    """The clip or question of a row, or None where a text that it needs is empty, which the report counts."""
    texts = {name: _texts(row, (name,), where) for name in columns.names}
    audio = tuple(clip_path(path, where=where) for name in columns.audio for path in texts[name])
    captions = tuple(text for name in columns.captions for text in texts[name])
    split = _split(texts[columns.split], where) if columns.split else split
    if not columns.question:
        if not audio or not captions:
            report.left_out["no caption" if audio else "no clip named"] += 1
            return None
        return CaptionedClip(audio[0], captions, columns.source, split, columns.licence)
    question, answer = " ".join(texts[columns.question]), " ".join(texts[columns.answer])
    if not question or not answer:
        report.left_out["empty answer" if question else "empty question"] += 1
        return None
    options = tuple(text for name in columns.choices for text in texts[name])
    question, answer, choices = _asked(question, answer, options)
    if options and not choices:
        report.noted["answer is none of the options"] += 1
    return Record(
        question=question, answer=answer, audio=audio, captions=captions, choices=choices,
        task="mcq" if options else "other", source=columns.source, split=split, licence=columns.licence,
        provenance=provenance,
    )  # fmt: skip


def _asked(question: str, answer: str, options: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    """The question with its options shown, the option that the answer names, and the options; none if it names none."""
    if not options:
        return question, answer, ()
    if not all(option in question for option in options):
        question = " ".join((question, *(f"{mark}) {text}" for mark, text in zip("abcdefgh", options, strict=False))))
    marks = {mark.lower(): text for mark, text in letters(question)}
    for option in (answer, marks.get(answer.strip(" ().").lower(), ""), answer.partition(") ")[2]):
        if option in options:
            return question, option, options
    return question, answer, ()


def _texts(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The texts of columns that hold a text, a number, a list of texts, or nothing."""
    found: list[str] = []
    for name in names:
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, (int, float)):
            value = str(value)
        values = listed_texts(value, where=where) if isinstance(value, str) else value
        if not isinstance(values, (list, tuple)) or not all(isinstance(text, str) for text in values):
            raise DataError(f"{where}: the column {name!r} holds neither a text nor a list of texts.")
        found += [text.strip() for text in values if text.strip()]
    return tuple(found)


def _split(texts: tuple[str, ...], where: str) -> Split:
    for split in get_args(Split):
        if texts == (split,):
            return split  # type: ignore[no-any-return]
    raise DataError(f"{where}: the split {' '.join(texts)!r} is unknown; use {', '.join(get_args(Split))}.")
