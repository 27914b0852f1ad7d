"""Choosing among options by their likelihood, less what the model would say without hearing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mellow.answer.decode import log_softmax, score_continuations
from mellow.engine import Cache, Engine
from mellow.errors import QuestionError
from mellow.types import Answer

__all__ = ["ChoiceRule", "decide", "score_options"]


@dataclass(frozen=True)
class ChoiceRule:
    """How scores become a choice; part of a model's config, set on its development recordings.

    by: `likelihood`, the mean log-likelihood of an option's tokens, which does not favour short options; or `decoding`,
        the probability with which decoding constrained to the options would say it.
    prior_weight: how much of an option's likelihood without audio is taken off (0: nothing).
    temperature: of the softmax that turns scores into probabilities (calibrated).
    abstain_below: no option is chosen when the best has less probability than this (0: always choose).
    """

    by: Literal["likelihood", "decoding"] = "likelihood"
    prior_weight: float = 0.0
    temperature: float = 1.0
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        if self.by not in ("likelihood", "decoding"):
            raise QuestionError(f"Options are scored by 'likelihood' or by 'decoding', not by {self.by!r}.")
        if not (math.isfinite(self.prior_weight) and math.isfinite(self.temperature)):
            raise QuestionError("The prior weight and the temperature of choices must be finite numbers.")
        if not 0 <= self.abstain_below <= 1:
            raise QuestionError(f"abstain_below is {self.abstain_below}, but it is a probability between 0 and 1.")
        if not self.temperature > 0:
            raise QuestionError(f"The temperature of choices is {self.temperature}, but it must be above 0.")


def score_options(
    engine: Engine,
    continuations: Sequence[Sequence[Sequence[int]]],
    *,
    heard: tuple[np.ndarray, Cache],
    deaf: tuple[np.ndarray, Cache] | None,
    rule: ChoiceRule,
) -> list[np.ndarray]:
    """Score the options of each of B prompts, less `prior_weight` times what they would have without audio.

    continuations: of each prompt, the options' token ids, end mark included; heard, deaf: last logits (B, V) and cache
    of the prompts with and without the audio.
    """
    within = rule.by == "decoding"
    scores = score_continuations(engine, *heard, continuations, within=within)
    if deaf is None:
        return scores
    priors = score_continuations(engine, *deaf, continuations, within=within)
    return [score - rule.prior_weight * prior for score, prior in zip(scores, priors, strict=True)]


def decide(options: Sequence[str], scores: np.ndarray, rule: ChoiceRule) -> Answer:
    """Pick the option with the highest score, or abstain where its probability is too small."""
    shares = tuple(float(p) for p in np.exp(log_softmax(scores / rule.temperature)))
    best = int(scores.argmax())
    if shares[best] < rule.abstain_below:
        return Answer("I cannot tell.", None, tuple(options), shares, "abstained")
    return Answer(options[best], options[best], tuple(options), shares, "choice")
