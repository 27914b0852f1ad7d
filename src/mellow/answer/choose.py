"""Choosing among options by their likelihood, less a share of their likelihood without audio (text-only prior)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mellow.answer.decode import COLDEST, HOTTEST, log_softmax, score_continuations
from mellow.checks import shown, within
from mellow.engines.interface import Cache, Engine
from mellow.errors import QuestionError
from mellow.text.question import first_equals
from mellow.types import Answer

__all__ = ["ChoiceRule", "decide", "score_options"]


@dataclass(frozen=True)
class ChoiceRule:
    """How scores become a choice; part of a model's config, set on its development recordings.

    by: `likelihood`, the mean log-likelihood of an option's tokens, which does not favour short options; or `decoding`,
        its probability in decoding that is constrained to the options.
    prior_weight: weight of an option's score without audio, which is subtracted (0: none).
    temperature: of the softmax that turns scores into probabilities (calibrated).
    abstain_below: no option is chosen if the best one is less probable than this (0: always choose).
    """

    by: Literal["likelihood", "decoding"] = "likelihood"
    prior_weight: float = 0.0
    temperature: float = 1.0
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.by, str) or self.by not in ("likelihood", "decoding"):
            raise QuestionError(f"Options are scored by 'likelihood' or by 'decoding', not by {shown(self.by)}.")
        within(self.prior_weight, what="The argument prior_weight", low=0, high=10, error=QuestionError)
        within(self.temperature, what="The argument temperature", low=COLDEST, high=HOTTEST, error=QuestionError)
        within(self.abstain_below, what="The argument abstain_below", low=0, high=1, error=QuestionError)


def score_options(
    engine: Engine,
    options: Sequence[Sequence[str]],
    continuations: Sequence[Sequence[Sequence[int]]],
    *,
    after: tuple[np.ndarray, Cache],
    rule: ChoiceRule,
) -> list[np.ndarray]:
    """Score the options of each of B prefilled prompts; equal options are scored once and have one score.

    continuations: of each prompt, the options' token ids, end mark included; after: last logits (B, V) and cache.
    """
    places = [first_equals(texts) for texts in options]
    firsts = [sorted(set(found)) for found in places]
    distinct = [[ids[n] for n in first] for ids, first in zip(continuations, firsts, strict=True)]
    scores = score_continuations(engine, *after, distinct, within=rule.by == "decoding")
    return [score[np.searchsorted(first, found)] for score, first, found in zip(scores, firsts, places, strict=True)]


def decide(options: Sequence[str], scores: np.ndarray, rule: ChoiceRule) -> Answer:
    """Choose the option with the highest score, or none where its probability is too small.

    Equal options have one probability: without the repetitions, probabilities sum to 1.
    """
    places = first_equals(options)
    first = sorted(set(places))
    logs = log_softmax(scores[first] / rule.temperature)
    shares = tuple(float(p) for p in np.exp(logs)[np.searchsorted(first, places)])
    best = int(scores.argmax())
    if shares[best] < rule.abstain_below:
        return Answer("I cannot tell.", None, tuple(options), shares, stop_reason="abstained")
    return Answer(options[best], options[best], tuple(options), shares, stop_reason="choice")
