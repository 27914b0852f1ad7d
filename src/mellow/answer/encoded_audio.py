"""Encoded clips, for any number of questions, and answers that are streamed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pickle import PicklingError
from typing import Any

import numpy as np

from mellow.answer.choose import ChoiceRule, decide
from mellow.answer.decode import DecodingOptions, batches, decode, prefill
from mellow.answer.encode import EncodedClip
from mellow.answer.pipeline import Pipeline, as_decoding, as_rule
from mellow.answer.views import EncodedView, merge_choices, merge_texts, stamp, surest
from mellow.engines.interface import Cache
from mellow.errors import QuestionError
from mellow.text.options import find_options
from mellow.text.question import as_options
from mellow.types import Answer, Scores

__all__ = ["EncodedAudio", "Stream"]


class Stream(Iterator[str]):
    """The text of an open answer in pieces, as it is decoded; the whole answer afterwards."""

    def __init__(self, pieces: Generator[str, None, Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            if end.value is not None:  # an exhausted generator ends again and again, without its value
                self._answer = end.value
            raise

    @property
    def answer(self) -> Answer:
        """The whole answer with its stop reason and token counts; the rest of it is decoded first."""
        for _ in self:
            pass
        if self._answer is None:  # an error ended the stream
            raise QuestionError("The stream broke off with an error, so there is no answer; ask again.")
        return self._answer


@dataclass
class EncodedAudio:
    """Encoded clips: a question about them costs only its own tokens.

    views: the stretches that are asked about one by one; a single one unless a clip is longer than the model takes.
    cache: KV cache of the prompts in front of the question, as one batch; None where they are too many to keep, and
        are prefilled again for each question.
    seconds: the time of encoding, which is part of the first answer's `seconds`.
    """

    model: Pipeline
    views: Sequence[EncodedView]
    cache: Cache | None
    seconds: float

    @classmethod
    def of(cls, model: Pipeline, views: Sequence[EncodedView]) -> EncodedAudio:
        """Prefill the prompt in front of the question, where it fits into one batch."""
        encoded = cls(model, views, None, 0.0)
        if len(list(batches(encoded._lengths()))) == 1:
            encoded.cache = prefill(model.engine, encoded.prefixes)[1]
        return encoded

    def __reduce__(self) -> tuple[Any, ...]:
        raise PicklingError("Encoded audio cannot be pickled; pickle the model and encode the clip in each process.")

    def __enter__(self) -> EncodedAudio:
        return self

    def __exit__(self, *_: object) -> None:
        self.cache = None

    @property
    def clips(self) -> Sequence[EncodedClip]:
        """The encoded clips (of long clips, their first stretches)."""
        return self.views[0].clips

    @property
    def prefixes(self) -> list[np.ndarray]:
        """Of each view, the embedded prompt in front of the question (L, D)."""
        return [self.model._prefix(view.clips) for view in self.views]

    def ask(
        self,
        question: str,
        *,
        choices: Iterable[str] | None = None,
        decoding: DecodingOptions | None = None,
        rule: ChoiceRule | None = None,
    ) -> Answer:
        """Answer a question about the clips; see `Mellow.ask`."""
        began = time.perf_counter()
        decoding, rule, choices = as_decoding(decoding), as_rule(rule, self.model.rule), as_options(choices)
        embeds_LD = self.model._question(question, choices, len(self.clips))
        options = choices or find_options(question)
        answers: list[Answer] = []
        priors = self.model._priors([options], [embeds_LD], rule) if options else []
        for after in self._read(embeds_LD, options):
            rows = len(after[0])
            if options:
                answers += self.model._choose([options] * rows, [priors[0]] * rows, after, rule)
            else:
                answers += self.model._complete(*after, decoding)
        merged = merge_choices(self.views, options, answers) if options else merge_texts(self.views, answers)
        return replace(merged, seconds=time.perf_counter() - began + self._first())

    def score(self, question: str, options: Iterable[str]) -> Scores:
        """How likely the model finds each option with and without the audio, before any prior weight.

        options: at least two; equal ones have equal scores.
        Of a long clip that is asked about stretch by stretch, the scores are those of the stretch that decides in
        `ask`, by likelihood and with the model's own rule.
        Raises QuestionError.
        """
        given = as_options(options)
        embeds_LD = self.model._question(question, given, len(self.clips))
        if not given:
            raise QuestionError("There are no options to score; give at least two.")
        rule = replace(self.model.rule, by="likelihood")
        (prior,) = self.model._without_audio([given], [embeds_LD], rule)
        found: list[np.ndarray] = []
        for after in self._read(embeds_LD, given):
            found += self.model._scores([given] * len(after[0]), after, rule)
        decided = [decide(given, score - rule.prior_weight * prior, rule) for score in found]
        return Scores(*(tuple(map(float, score)) for score in (found[surest(given, decided)], prior)))

    def stream(self, question: str, *, decoding: DecodingOptions | None = None) -> Stream:
        """The text of `ask` for a question without options, in pieces as it is decoded.

            stream = audio.stream("What happens here?")
            for piece in stream:
                print(piece, end="", flush=True)
            print(stream.answer.stop_reason)

        Raises QuestionError at once, before the first piece.
        """
        began = time.perf_counter()
        decoding = as_decoding(decoding)
        embeds_LD = self.model._question(question, (), len(self.clips))
        parts = self._read(embeds_LD, ())
        return Stream(self._stream(parts, decoding, began))

    def _stream(
        self, parts: Iterator[tuple[np.ndarray, Cache]], decoding: DecodingOptions, began: float
    ) -> Generator[str, None, Answer]:
        answers: list[Answer] = []
        for logits_BV, cache in parts:
            for row in range(len(logits_BV)):
                if len(self.views) > 1:
                    yield ("\n" if answers else "") + stamp(self.views[len(answers)])
                after = logits_BV[row : row + 1], self.model.engine.take(cache, [row])
                answers.append((yield from self._pieces(*after, decoding)))
        merged = merge_texts(self.views, answers)
        return replace(merged, seconds=time.perf_counter() - began + self._first())

    def _pieces(self, logits_BV: np.ndarray, cache: Cache, decoding: DecodingOptions) -> Generator[str, None, Answer]:
        """One answer's text; spaces and incomplete characters are held back until more follows."""
        stop_ids = self.model.processor.prompt.stop_ids
        ids: list[int] = []
        sent = text = ""
        ended = False
        for tokens in decode(self.model.engine, logits_BV, cache, stop_ids=stop_ids, decoding=decoding):
            if tokens[0] in stop_ids:
                ended = True
                break
            ids.append(tokens[0])
            text = self.model._text(ids)
            if len(text) > len(sent) and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield text[len(sent) :]
                sent = text
        if len(text) > len(sent):
            yield text[len(sent) :]
        return Answer(
            text,
            stop_reason="end" if ended else "length",
            prompt_tokens=int(cache.mask_BL.sum()),
            answer_tokens=len(ids),
        )

    def _lengths(self) -> list[int]:
        """Tokens in front of the question, of each view."""
        return [len(self.model._ids(view.clips)) for view in self.views]

    def _read(self, embeds_LD: np.ndarray, options: Sequence[str] = ()) -> Iterator[tuple[np.ndarray, Cache]]:
        """Last logits (B, V) and KV cache of the prompt up to the answer, for one batch of views after another."""
        lengths = [length + len(embeds_LD) for length in self._lengths()]
        self.model._check_length(max(lengths), options)
        return self._parts(embeds_LD, lengths)

    def _parts(self, embeds_LD: np.ndarray, lengths: Sequence[int]) -> Iterator[tuple[np.ndarray, Cache]]:
        engine = self.model.engine
        for rows in batches(lengths):
            if self.cache is not None:
                cache = engine.take(self.cache, rows)
            else:
                cache = prefill(engine, [self.model._prefix(self.views[row].clips) for row in rows])[1]
            yield prefill(engine, [embeds_LD] * len(rows), cache)

    def _first(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds
