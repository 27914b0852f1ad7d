"""Choosing among options by their likelihood, less what the model would say without hearing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mellow.answer.decode import log_softmax, score_continuations
from mellow.answer.engine import Cache, Engine
from mellow.types import Answer

__all__ = ["ChoiceRule", "decide", "score_options"]


@dataclass(frozen=True)
class ChoiceRule:
    """How scores become a choice; part of a model's config, set on its development recordings.

    prior_weight: how much of an option's likelihood without audio is taken off (0: nothing).
    temperature: of the softmax that turns scores into probabilities (calibrated).
    abstain_below: no option is chosen when the best has less probability than this (0: always choose).
    """

    prior_weight: float = 0.0
    temperature: float = 1.0
    abstain_below: float = 0.0


def score_options(
    engine: Engine,
    continuations: Sequence[Sequence[int]],
    *,
    heard: tuple[np.ndarray, Cache],
    deaf: tuple[np.ndarray, Cache] | None,
    rule: ChoiceRule,
) -> np.ndarray:
    """Score each option by its mean log-likelihood per token, less what it would have without audio.

    continuations: the options' token ids, end mark included; heard, deaf: last logits (V) and cache (batch 1) of the
    prompt with and without the audio.
    """
    scores = score_continuations(engine, *heard, continuations)
    if deaf is not None:
        scores = scores - rule.prior_weight * score_continuations(engine, *deaf, continuations)
    return scores


def decide(options: Sequence[str], scores: np.ndarray, rule: ChoiceRule) -> Answer:
    """Pick the option with the highest score, or abstain where its probability is too small."""
    shares = tuple(float(p) for p in np.exp(log_softmax(scores / rule.temperature)))
    best = int(scores.argmax())
    if shares[best] < rule.abstain_below:
        return Answer("I cannot tell.", None, shares, "abstained")
    return Answer(options[best], options[best], shares, "choice")
