"""`load` a model, `ask` it about clips: the facade of the package."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pickle import PicklingError
from typing import Any

import numpy as np

from mellow.answer.choose import ChoiceRule, score_options
from mellow.answer.decode import Sampling, complete, read, steps
from mellow.answer.views import HeardView, decide_views, merge_texts, pair, stamp
from mellow.engine import Cache, Engine, Heard
from mellow.errors import QuestionError
from mellow.processor import Processor, Source
from mellow.text.options import find_options
from mellow.text.prompt import ROW, HeardClip, expand
from mellow.types import Answer

__all__ = ["BATCH", "Ear", "Mellow"]

BATCH = 8  # questions, or windows of a long clip, that are answered in one batch
QUESTION_KEYS = {"audio", "audio2", "question", "choices"}


@dataclass
class Mellow:
    """A loaded model. Make one with `mellow.load`.

    engine: hears, embeds and reads on; processor: clips and text to its inputs; rule: how options are scored.
    reload: makes it again; a pickled model is loaded anew by whoever unpickles it, such as a worker process.
    """

    engine: Engine
    processor: Processor
    rule: ChoiceRule = field(default_factory=ChoiceRule)
    name: str = "model"
    reload: Callable[[], Mellow] | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.reload is None:
            raise PicklingError("A model that mellow.load did not make cannot be pickled; load it in each process.")
        return self.reload, (), {"rule": self.rule}

    def ask(
        self,
        audio: Source,
        question: str,
        *,
        audio2: Source | None = None,
        choices: Sequence[str] = (),
        sampling: Sampling | None = None,
        rule: ChoiceRule | None = None,
    ) -> Answer:
        """Answer one question about one clip, or two.

        audio, audio2: paths, bytes, file objects or Clips, of any length and any format libsndfile reads.
        choices: options to choose from; without them, options that stand in the question are found and chosen from.
        rule: how options are scored, where the model's own rule is not wanted.
        Raises AudioError, QuestionError.
        """
        return self.listen(audio, audio2).ask(question, choices=choices, sampling=sampling, rule=rule)

    def listen(self, audio: Source, audio2: Source | None = None) -> Ear:
        """Hear one or two clips once, to ask many questions about them at the price of one."""
        began = time.perf_counter()
        views = self._hear(audio, audio2)
        prefixes = [self._prefix(view.clips) for view in views]
        cache = read(self.engine, prefixes)[1] if len(prefixes) <= BATCH else None
        return Ear(self, views, prefixes, cache, time.perf_counter() - began)

    def ask_many(
        self, questions: Sequence[Mapping[str, Any]], *, sampling: Sampling | None = None, find_choices: bool = True
    ) -> list[Answer]:
        """Answer many questions in true batches; the answers equal those of `ask`.

        questions: mappings with `audio` and `question`, and maybe `audio2` and `choices`.
        find_choices: False answers a question in free text even where options stand in it.
        `seconds` of each answer is the batch's time over its size.
        """
        for number, item in enumerate(questions, 1):
            unknown = set(item) - QUESTION_KEYS
            if unknown or "audio" not in item or "question" not in item:
                raise QuestionError(
                    f"Question {number} must hold 'audio' and 'question', may hold 'audio2' and 'choices'."
                )
        options = [
            tuple(option.strip() for option in item.get("choices") or ())
            or (find_options(str(item["question"])) if find_choices else ())
            for item in questions
        ]
        for item in questions:  # before anything is heard
            self.processor.question(
                item["question"], item.get("choices") or (), clips=1 + (item.get("audio2") is not None)
            )
        known: dict[str | int, list[HeardView]] = {}
        answers: dict[int, Answer] = {}
        for closed in (False, True):
            numbers = [number for number in range(len(questions)) if bool(options[number]) == closed]
            for start in range(0, len(numbers), BATCH):
                batch = numbers[start : start + BATCH]
                items, chosen = [questions[n] for n in batch], [options[n] for n in batch]
                answers |= dict(zip(batch, self._ask_batch(items, chosen, sampling, known), strict=True))
        return [answers[number] for number in range(len(questions))]

    def _ask_batch(
        self,
        items: Sequence[Mapping[str, Any]],
        options: Sequence[Sequence[str]],
        sampling: Sampling | None,
        known: dict[str | int, list[HeardView]],
    ) -> list[Answer]:
        """Answers to questions that all have options, or all have none; known: clips that were heard before."""
        began = time.perf_counter()
        heard = [self._hear(item["audio"], item.get("audio2"), known=known) for item in items]
        questions = [
            self._question(item["question"], item.get("choices") or (), len(views[0].clips))
            for item, views in zip(items, heard, strict=True)
        ]
        owners = [number for number, views in enumerate(heard) for _ in views]
        prompts = [
            np.concatenate([self._prefix(view.clips), questions[number]])
            for number, views in enumerate(heard)
            for view in views
        ]
        texts: list[Answer] = []
        scores: list[np.ndarray] = []
        for start in range(0, len(prompts), BATCH):
            part = read(self.engine, prompts[start : start + BATCH])
            if not options[0]:
                texts += self._complete(*part, sampling)
                continue
            mine = owners[start : start + BATCH]
            scores += self._score([options[n] for n in mine], part, [questions[n] for n in mine], self.rule)
        waiting_texts, waiting_scores = iter(texts), iter(scores)
        merged = [
            decide_views(views, options[number], list(islice(waiting_scores, len(views))), self.rule)
            if options[number]
            else merge_texts(views, list(islice(waiting_texts, len(views))))
            for number, views in enumerate(heard)
        ]
        seconds = (time.perf_counter() - began) / len(items)
        return [replace(answer, seconds=seconds) for answer in merged]

    def _score(
        self,
        options: Sequence[Sequence[str]],
        heard: tuple[np.ndarray, Cache],
        questions: Sequence[np.ndarray],
        rule: ChoiceRule,
    ) -> list[np.ndarray]:
        """Scores of the options of each prompt that has been read; questions: embedded, for hearing nothing (L, D)."""
        prompt = self.processor.prompt
        deaf = None
        if rule.prior_weight:
            prefix = self.engine.embed(prompt.prefix(0), np.zeros((0, 0), np.float32))
            deaf = read(self.engine, [np.concatenate([prefix, embeds_LD]) for embeds_LD in questions])
        continuations = [prompt.options(texts) for texts in options]
        return score_options(self.engine, continuations, heard=heard, deaf=deaf, rule=rule)

    def _hear(self, *sources: Source | None, known: dict[str | int, list[HeardView]] | None = None) -> list[HeardView]:
        """Hear one or two clips; those in `known` (by path, or by which object they are) were heard before."""
        known = {} if known is None else known
        keys = []
        for source in sources:
            if source is not None:
                keys.append(os.fspath(source) if isinstance(source, str | os.PathLike) else id(source))
                if keys[-1] not in known:
                    views = self.processor.views(self.processor.clip(source))
                    known[keys[-1]] = [HeardView(v.start, v.end, [self.engine.encode(v.windows)]) for v in views]
        if not keys:
            raise QuestionError("A question is about one or two clips, but none was given; give at least one clip.")
        return pair([known[key] for key in keys])

    def _prefix(self, clips: Sequence[Heard]) -> np.ndarray:
        """Embedded prompt in front of the question (L, D)."""
        clips = self.processor.prompt.slots(clips)
        listened = [HeardClip(len(clip.rows_KD), clip.words) for clip in clips]
        ids = expand(self.processor.prompt.prefix(len(clips)), listened)
        rows_ND = np.concatenate([clip.rows_KD for clip in clips]) if clips else np.zeros((0, 0), np.float32)
        return self.engine.embed(ids, rows_ND if ROW in ids else np.zeros((0, 0), np.float32))

    def _question(self, question: str, choices: Sequence[str], clips: int) -> np.ndarray:
        text = self.processor.question(question, choices, clips=clips)
        return self.engine.embed(self.processor.prompt.question(text), np.zeros((0, 0), np.float32))

    def _complete(self, logits_BV: np.ndarray, cache: Cache, sampling: Sampling | None) -> list[Answer]:
        """Free answers of a batch of prompts that have been read."""
        stop_ids = self.processor.prompt.stop_ids
        completions = complete(self.engine, logits_BV, cache, stop_ids=stop_ids, sampling=sampling or Sampling())
        return [Answer(self._text(done.ids), stop_reason=done.stop_reason) for done in completions]

    def _text(self, ids: Sequence[int]) -> str:
        return self.processor.prompt.tokenizer.decode(ids).strip()


@dataclass
class Ear:
    """Clips that have been heard: every question costs only itself.

    views: the stretches that are asked about one by one (one, but for long clips of the published layout).
    prefixes: of each view, the embedded prompt in front of the question (L, D).
    cache: of the prefixes as one batch; None where they are too many to keep and are read again for each question.
    seconds: what hearing cost; it is part of the first answer's `seconds`.
    """

    model: Mellow
    views: Sequence[HeardView]
    prefixes: Sequence[np.ndarray]
    cache: Cache | None
    seconds: float

    def __reduce__(self) -> tuple[Any, ...]:
        raise PicklingError("Encoded audio cannot be pickled; pickle the model and the clip, and listen to it there.")

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_: object) -> None:
        self.cache = None

    @property
    def clips(self) -> Sequence[Heard]:
        """The clips as they were heard (of long clips in the published layout, their first windows)."""
        return self.views[0].clips

    def ask(
        self,
        question: str,
        *,
        choices: Sequence[str] = (),
        sampling: Sampling | None = None,
        rule: ChoiceRule | None = None,
    ) -> Answer:
        """Answer a question about the clips heard; see `Mellow.ask`."""
        began = time.perf_counter() - self._first()
        options = tuple(option.strip() for option in choices) or find_options(question)
        embeds_LD = self.model._question(question, choices, len(self.clips))
        if options:
            answer = self._choose(options, embeds_LD, rule or self.model.rule)
        else:
            batches = (self.model._complete(logits_BV, cache, sampling) for logits_BV, cache in self._read(embeds_LD))
            answer = merge_texts(self.views, [answer for batch in batches for answer in batch])
        return replace(answer, seconds=time.perf_counter() - began)

    def stream(self, question: str, *, sampling: Sampling | None = None) -> Iterator[str]:
        """Yield an open answer's text in pieces as it is made: that of `ask` for a question without options."""
        embeds_LD = self.model._question(question, (), len(self.clips))
        waiting = iter(self.views)
        for logits_BV, cache in self._read(embeds_LD):
            for row in range(len(logits_BV)):
                if len(self.views) > 1:
                    view = next(waiting)
                    yield ("\n" if view is not self.views[0] else "") + stamp(view)
                yield from self._pieces(logits_BV[row : row + 1], self.model.engine.take(cache, [row]), sampling)

    def _pieces(self, logits_BV: np.ndarray, cache: Cache, sampling: Sampling | None) -> Iterator[str]:
        """One answer's text; blanks and half characters are held back until more follows."""
        stop_ids = self.model.processor.prompt.stop_ids
        ids: list[int] = []
        told = text = ""
        for tokens in steps(self.model.engine, logits_BV, cache, stop_ids=stop_ids, sampling=sampling or Sampling()):
            if tokens[0] in stop_ids:
                break
            ids.append(tokens[0])
            text = self.model._text(ids)
            if len(text) > len(told) and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield text[len(told) :]
                told = text
        if len(text) > len(told):
            yield text[len(told) :]

    def _read(self, embeds_LD: np.ndarray) -> Iterator[tuple[np.ndarray, Cache]]:
        """Last logits (B, V) and cache of the prompt up to the answer, for a batch of views at a time."""
        for start in range(0, len(self.prefixes), BATCH):
            prefixes = self.prefixes[start : start + BATCH]
            cache = self.cache if self.cache is not None else read(self.model.engine, prefixes)[1]
            yield read(self.model.engine, [embeds_LD] * len(prefixes), cache)

    def _choose(self, options: Sequence[str], embeds_LD: np.ndarray, rule: ChoiceRule) -> Answer:
        scores: list[np.ndarray] = []
        for part in self._read(embeds_LD):
            rows = len(part[0])
            scores += self.model._score([options] * rows, part, [embeds_LD] * rows, rule)
        return decide_views(self.views, options, scores, rule)

    def _first(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds
