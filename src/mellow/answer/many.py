"""Many questions in batches; one that fails does not affect the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mellow.answer.decode import BATCH, DecodingOptions, batches, prefill
from mellow.answer.pipeline import Key, Pipeline
from mellow.answer.views import EncodedView, merge_choices, merge_texts
from mellow.checks import kind_of, shown
from mellow.errors import MellowError, QuestionError
from mellow.text.options import find_options
from mellow.text.question import check_question
from mellow.types import Answer

__all__ = ["OnError", "Progress", "answer_many", "as_list"]

OnError = Literal["raise", "return"]
Progress = Callable[[int, int], None]
Outcome = Answer | MellowError
REQUIRED, OPTIONAL = ("audio", "question"), ("audio2", "choices")


@dataclass(frozen=True, eq=False)
class Row:
    """A question that can be asked. number: from 1; sources: one or two clips; options: given, or found in it."""

    number: int
    sources: tuple[Any, ...]
    question: str
    choices: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EncodedRow:
    """A row whose clips are encoded. embeds_LD: the question; lengths: tokens of each view's prompt."""

    row: Row
    views: Sequence[EncodedView]
    embeds_LD: np.ndarray
    lengths: Sequence[int]


def as_list(questions: Any) -> list[Any]:
    """The rows of a list or any other iterable; QuestionError for anything else."""
    if isinstance(questions, str | bytes | Mapping) or not isinstance(questions, Iterable):
        raise QuestionError(f"The questions must be a list of mappings, not {kind_of(questions)}.")
    try:
        return list(questions)
    except TypeError:
        raise QuestionError(f"The questions must be a list of mappings, not {kind_of(questions)}.") from None


def answer_many(
    model: Pipeline,
    questions: Sequence[Any],
    *,
    decoding: DecodingOptions,
    find_choices: bool,
    on_error: OnError,
    progress: Progress | None,
) -> list[Outcome]:
    """See `Mellow.ask_many`. All questions are checked before anything is encoded."""
    outcomes: dict[int, Outcome] = {}
    rows: list[Row] = []
    for number, item in enumerate(questions, 1):
        try:
            rows.append(_row(model, number, item, find_choices=find_choices))
        except MellowError as error:
            outcomes[number] = _failure(error, number, on_error)
    known: dict[Key, list[EncodedView]] = {}
    pending = Counter(model._key(source) for row in rows for source in row.sources)
    for batch in _by_kind(rows):
        began = time.perf_counter()
        encoded: list[EncodedRow] = []
        for row in batch:
            try:
                encoded.append(_encoded(model, row, known))
            except MellowError as error:
                outcomes[row.number] = _failure(error, row.number, on_error)
        answers = _answers(model, encoded, decoding)
        seconds = (time.perf_counter() - began) / len(batch)
        outcomes |= {h.row.number: replace(a, seconds=seconds) for h, a in zip(encoded, answers, strict=True)}
        _forget(model, batch, known, pending)
        if progress is not None:
            progress(len(outcomes), len(questions))
    return [outcomes[number] for number in range(1, len(questions) + 1)]


def _row(model: Pipeline, number: int, item: Any, *, find_choices: bool) -> Row:
    if not isinstance(item, Mapping):
        raise QuestionError(f"It must be a mapping with 'audio' and 'question', not {kind_of(item)}.")
    for key in REQUIRED:
        if key not in item:
            raise QuestionError(
                f"It has no {key!r}; give 'audio' and 'question', and optionally 'audio2' and 'choices'."
            )
    for key in item:
        if key not in (*REQUIRED, *OPTIONAL):
            raise QuestionError(
                f"It has the unknown key {shown(key)}; give only 'audio', 'question', 'audio2' and 'choices'."
            )
    sources = tuple(source for source in (item["audio"], item.get("audio2")) if source is not None)
    choices = check_question(item["question"], item.get("choices"), clips=len(sources))
    model.processor.question(item["question"], choices)  # raises for what the layout does not support
    options = choices or (find_options(item["question"]) if find_choices else ())
    return Row(number, sources, item["question"], choices, options)


def _failure(error: MellowError, number: int, on_error: OnError) -> MellowError:
    """The error with the number of its question: returned, or raised."""
    numbered = type(error)(f"Question {number}: {error}")
    numbered.__cause__ = error
    if on_error == "raise":
        raise numbered from error
    return numbered


def _by_kind(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Batches of questions without options, then of those with them."""
    for kind in ([row for row in rows if not row.options], [row for row in rows if row.options]):
        for start in range(0, len(kind), BATCH):
            yield kind[start : start + BATCH]


def _encoded(model: Pipeline, row: Row, known: dict[Key, list[EncodedView]]) -> EncodedRow:
    views = model._encode(*row.sources, known=known)
    embeds_LD = model._question(row.question, row.choices, len(row.sources))
    lengths = [len(model._ids(view.clips)) + len(embeds_LD) for view in views]
    model._check_length(max(lengths), row.options)
    return EncodedRow(row, views, embeds_LD, lengths)


def _answers(model: Pipeline, encoded: Sequence[EncodedRow], decoding: DecodingOptions) -> list[Answer]:
    """Answers to rows that all have options, or all have none; their views fill batches together."""
    if not encoded:
        return []
    options = [h.row.options for h in encoded]
    priors = model._priors(options, [h.embeds_LD for h in encoded], model.rule) if options[0] else []
    views = [(n, view) for n, h in enumerate(encoded) for view in h.views]
    found: list[list[Answer]] = [[] for _ in encoded]
    for part in batches([length for h in encoded for length in h.lengths]):
        owners = [views[place][0] for place in part]
        prompts = [
            np.concatenate([model._prefix(views[place][1].clips), encoded[n].embeds_LD])
            for n, place in zip(owners, part, strict=True)
        ]
        after = prefill(model.engine, prompts)
        if options[0]:
            answers = list(model._choose([options[n] for n in owners], [priors[n] for n in owners], after, model.rule))
        else:
            answers = model._complete(*after, decoding)
        for n, answer in zip(owners, answers, strict=True):
            found[n].append(answer)
    return [
        merge_choices(h.views, h.row.options, mine) if h.row.options else merge_texts(h.views, mine)
        for h, mine in zip(encoded, found, strict=True)
    ]


def _forget(model: Pipeline, batch: Sequence[Row], known: dict[Key, list[EncodedView]], pending: Counter[Key]) -> None:
    """Drop clips that no later question is about, so that memory does not grow with the number of questions."""
    for key in (model._key(source) for row in batch for source in row.sources):
        pending[key] -= 1
        if not pending[key]:
            known.pop(key, None)
