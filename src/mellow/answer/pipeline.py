"""The steps that all ways of asking share: encoding clips, prefilling prompts, decoding answers and scoring options.

Shapes: B batch, L tokens, D width, V vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mellow.answer.choose import ChoiceRule, decide, score_options
from mellow.answer.decode import DecodingOptions, generate, prefill
from mellow.answer.encode import EncodedClip, encode_clip
from mellow.answer.views import EncodedView, pair
from mellow.checks import check_kind
from mellow.engines.interface import Cache, Engine
from mellow.errors import QuestionError
from mellow.processor import Processor, Source
from mellow.text.tags import AudioTags
from mellow.types import Answer

__all__ = ["Key", "Pipeline", "as_decoding", "as_rule"]

Key = str | bytes | int  # identifies a clip: its path, or the id of the object


def as_decoding(decoding: DecodingOptions | None) -> DecodingOptions:
    """The options given, or the default; QuestionError for another type."""
    check_kind(
        decoding,
        (DecodingOptions, type(None)),
        what="The argument decoding",
        wanted="a DecodingOptions or None",
        error=QuestionError,
    )
    return decoding or DecodingOptions()


def as_rule(rule: ChoiceRule | None, own: ChoiceRule) -> ChoiceRule:
    """The rule given, or the model's own; QuestionError for another type."""
    check_kind(
        rule, (ChoiceRule, type(None)), what="The argument rule", wanted="a ChoiceRule or None", error=QuestionError
    )
    return rule or own


@dataclass
class Pipeline:
    """A model with its processor; `Mellow` is one with public ways to ask."""

    engine: Engine
    processor: Processor
    tags: AudioTags | None = None
    rule: ChoiceRule = field(default_factory=ChoiceRule)
    name: str = "model"

    def _key(self, source: Source) -> Key:
        return os.fspath(source) if isinstance(source, str | os.PathLike) else id(source)

    def _encode(self, *sources: Source | None, known: dict[Key, list[EncodedView]] | None = None) -> list[EncodedView]:
        """Encode one or two clips; those in `known` were encoded before."""
        known = {} if known is None else known
        keys = [self._key(source) for source in sources if source is not None]
        if not keys:
            raise QuestionError("A question is about one or two clips, but none was given; give at least one clip.")
        for source in sources:
            if source is not None and self._key(source) not in known:
                views = self.processor.views(self.processor.clip(source))
                known[self._key(source)] = [
                    EncodedView(view.start, view.end, [encode_clip(self.engine, view.windows, self.tags)])
                    for view in views
                ]
        return pair([known[key] for key in keys])

    def _ids(self, clips: Sequence[EncodedClip]) -> list[int]:
        """Token ids of the prompt in front of the question, AUDIO for each audio token."""
        return self.processor.prompt.assemble([clip.tokens for clip in clips]).ids

    def _prefix(self, clips: Sequence[EncodedClip]) -> np.ndarray:
        """Embedded prompt in front of the question (L, D)."""
        slots = self.processor.prompt.slots(clips)
        return self.engine.embed(self._ids(clips), np.concatenate([clip.audio_KD for clip in slots]))

    def _question(self, question: str, choices: Sequence[str] | None, clips: int) -> np.ndarray:
        text = self.processor.question(question, choices, clips=clips)
        return self.engine.embed(self.processor.prompt.question(text))

    def _check_length(self, prompt_tokens: int, options: Sequence[str]) -> None:
        """Raise QuestionError where a prompt with its longest option exceeds the context of the language model."""
        longest = max((len(ids) for ids in self.processor.prompt.options(options)), default=1) if options else 1
        if prompt_tokens + longest - 1 > self.engine.positions:
            raise QuestionError(
                f"The clips, the question and its options take {prompt_tokens + longest - 1:,} tokens, and the context "
                f"of the model has {self.engine.positions:,}; ask a shorter question."
            )

    def _complete(self, logits_BV: np.ndarray, cache: Cache, decoding: DecodingOptions) -> list[Answer]:
        """Open answers to a batch of prefilled prompts."""
        stop_ids = self.processor.prompt.stop_ids
        completions = generate(self.engine, logits_BV, cache, stop_ids=stop_ids, decoding=decoding)
        return [
            Answer(
                self._text(done.ids), stop_reason=done.stop_reason, prompt_tokens=tokens, answer_tokens=len(done.ids)
            )
            for done, tokens in zip(completions, _tokens(cache), strict=True)
        ]

    def _choose(
        self,
        options: Sequence[Sequence[str]],
        priors: Sequence[np.ndarray | None],
        after: tuple[np.ndarray, Cache],
        rule: ChoiceRule,
    ) -> Iterator[Answer]:
        """Choices for a batch of prefilled prompts; priors: from `_priors`."""
        scores = self._scores(options, after, rule)
        for texts, score, prior, tokens in zip(options, scores, priors, _tokens(after[1]), strict=True):
            chosen = decide(texts, score if prior is None else score - rule.prior_weight * prior, rule)
            yield replace(chosen, prompt_tokens=tokens)

    def _priors(
        self, options: Sequence[Sequence[str]], questions: Sequence[np.ndarray], rule: ChoiceRule
    ) -> Sequence[np.ndarray | None]:
        """Scores of the options of each embedded question (L, D) without audio; None where they have no weight."""
        if not rule.prior_weight:
            return [None] * len(questions)
        return self._without_audio(options, questions, rule)

    def _without_audio(
        self, options: Sequence[Sequence[str]], questions: Sequence[np.ndarray], rule: ChoiceRule
    ) -> list[np.ndarray]:
        """Scores of the options of each embedded question (L, D) without audio."""
        prefix_LD = self.engine.embed(self.processor.prompt.assemble(()).ids)
        after = prefill(self.engine, [np.concatenate([prefix_LD, embeds_LD]) for embeds_LD in questions])
        return self._scores(options, after, rule)

    def _scores(
        self, options: Sequence[Sequence[str]], after: tuple[np.ndarray, Cache], rule: ChoiceRule
    ) -> list[np.ndarray]:
        """Scores of the options of each of a batch of prompts that have been read."""
        continuations = [self.processor.prompt.options(texts) for texts in options]
        return score_options(self.engine, options, continuations, after=after, rule=rule)

    def _text(self, ids: Sequence[int]) -> str:
        return self.processor.prompt.tokenizer.decode(ids).strip()


def _tokens(cache: Cache) -> list[int]:
    """The number of tokens of each row."""
    return [int(count) for count in cache.mask_BL.sum(1)]
