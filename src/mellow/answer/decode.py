"""The one decoding loop: greedy or top-p, streamed or not, for every engine and layout; numpy logits only.

Shapes: B batch, L tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mellow.checks import check_kind, whole_number, within
from mellow.engines.interface import Cache, Engine
from mellow.errors import QuestionError
from mellow.types import StopReason

__all__ = [
    "BATCH",
    "COLDEST",
    "HOTTEST",
    "Completion",
    "DecodingOptions",
    "batches",
    "decode",
    "generate",
    "log_softmax",
    "next_tokens",
    "prefill",
    "score_continuations",
]

BATCH = 8  # prompts that are prefilled in one pass
ROWS_AT_ONCE = 16  # continuations that are scored in one pass
POSITIONS_AT_ONCE = 4096  # of all KV caches of a pass together: 0.2 GB for 135 M parameters
COLDEST, HOTTEST = 1e-6, 1e6  # temperatures that float64 can divide logits by


@dataclass(frozen=True)
class DecodingOptions:
    """How tokens are chosen.

    max_new_tokens: answers are cut after this many (300 in the published code), or where the context is full.
    sample: sample from the top-p nucleus (paper, section 3: p 0.8, temperature 1) instead of decoding greedily.
    seed: of the samples; None gives other ones each time.
    Raises QuestionError for values of a wrong type or out of range.
    """

    max_new_tokens: int = 300
    sample: bool = False
    top_p: float = 0.8
    temperature: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        whole_number(self.max_new_tokens, what="The argument max_new_tokens", low=1, error=QuestionError)
        check_kind(self.sample, bool, what="The argument sample", wanted="True or False", error=QuestionError)
        if within(self.top_p, what="The argument top_p", low=0, high=1, error=QuestionError) == 0:
            raise QuestionError("The argument top_p is 0.0, but it is a probability above 0 and at most 1.")
        within(self.temperature, what="The argument temperature", low=COLDEST, high=HOTTEST, error=QuestionError)
        if self.seed is not None:
            whole_number(self.seed, what="The argument seed", low=0, error=QuestionError)


@dataclass(frozen=True)
class Completion:
    """Token ids of an answer, without the stop token, and why it ended."""

    ids: tuple[int, ...]
    stop_reason: StopReason


def batches(lengths: Sequence[int]) -> Iterator[range]:
    """Which consecutive prompts, of these lengths in tokens, are prefilled in one pass, so that memory is bounded."""
    start = 0
    for end in range(1, len(lengths) + 1):
        rows = end + 1 - start  # including the next one
        if end == len(lengths) or rows > BATCH or rows * max(lengths[start : end + 1]) > POSITIONS_AT_ONCE:
            yield range(start, end)
            start = end


def prefill(engine: Engine, prompts: Sequence[np.ndarray], cache: Cache | None = None) -> tuple[np.ndarray, Cache]:
    """Prefill embedded prompts (L, D) of any lengths as one left-padded batch: last logits (B, V) and the KV cache.

    cache: of the tokens before them, one row each.
    """
    length = max(len(prompt) for prompt in prompts)
    embeds_BLD = np.zeros((len(prompts), length, prompts[0].shape[1]), np.float32)
    mask_BL = np.zeros((len(prompts), length), np.int64)
    for b, prompt in enumerate(prompts):
        embeds_BLD[b, length - len(prompt) :] = prompt
        mask_BL[b, length - len(prompt) :] = 1
    return engine.forward(embeds_BLD, mask_BL, cache)


def decode(
    engine: Engine, logits_BV: np.ndarray, cache: Cache, *, stop_ids: Sequence[int], decoding: DecodingOptions
) -> Iterator[dict[int, int]]:
    """Yield the next token of each unfinished answer, by its row in the batch; a stop token ends its answer.

    Finished rows leave the batch, so that the last answers run as fast as a small batch; a row that has filled the
    context of the model is finished, too. Each row samples from its own generator, so that a seeded answer is the same
    in any batch.
    """
    rows = list(range(len(logits_BV)))
    rngs = [np.random.default_rng(decoding.seed) for _ in rows]
    for number in range(1, decoding.max_new_tokens + 1):
        tokens = next_tokens(logits_BV, decoding, [rngs[row] for row in rows])
        yield dict(zip(rows, tokens, strict=True))
        full_B = cache.mask_BL.sum(1) >= engine.positions
        alive = [i for i, token in enumerate(tokens) if token not in stop_ids and not full_B[i]]
        if not alive or number == decoding.max_new_tokens:
            return
        if len(alive) < len(rows):
            rows, tokens, cache = [rows[i] for i in alive], [tokens[i] for i in alive], engine.take(cache, alive)
        embeds_BLD = np.stack([engine.embed([token]) for token in tokens])
        logits_BV, cache = engine.forward(embeds_BLD, np.ones((len(rows), 1), np.int64), cache)


def generate(
    engine: Engine, logits_BV: np.ndarray, cache: Cache, *, stop_ids: Sequence[int], decoding: DecodingOptions
) -> list[Completion]:
    """Run `decode` to the end."""
    ids: list[list[int]] = [[] for _ in logits_BV]
    ended: list[StopReason] = ["length"] * len(ids)
    for tokens in decode(engine, logits_BV, cache, stop_ids=stop_ids, decoding=decoding):
        for row, token in tokens.items():
            if token in stop_ids:
                ended[row] = "end"
            else:
                ids[row].append(token)
    return [Completion(tuple(row), reason) for row, reason in zip(ids, ended, strict=True)]


def next_tokens(logits_BV: np.ndarray, decoding: DecodingOptions, rngs: Sequence[np.random.Generator]) -> list[int]:
    """The likeliest token of each row, or one sampled from the smallest set with at least `top_p` of the probability.

    rngs: one per row. The token with the largest sum of log-probability and Gumbel noise is a sample, and the same one
    where rounding swaps the ranks of tokens with nearly equal logits.
    """
    if not decoding.sample:
        return [int(token) for token in logits_BV.argmax(-1)]
    chosen = []
    for logits_V, rng in zip(logits_BV, rngs, strict=True):
        order = np.argsort(-logits_V, kind="stable")
        logs_V = log_softmax(logits_V.astype(np.float64) / decoding.temperature)
        probabilities = np.exp(logs_V[order])
        outside = np.cumsum(probabilities) - probabilities >= decoding.top_p
        logs_V[order[outside]] = -np.inf
        chosen.append(int((logs_V + rng.gumbel(size=len(logs_V))).argmax()))
    return chosen


def score_continuations(
    engine: Engine,
    logits_BV: np.ndarray,
    cache: Cache,
    continuations: Sequence[Sequence[Sequence[int]]],
    *,
    within: bool = False,
) -> list[np.ndarray]:
    """Score the continuations of each of B prompts, in as few passes as memory allows: one array per prompt.

    A score is the mean log-likelihood per token. within: the log-probability of the continuation in decoding that is
    constrained to the prompt's continuations: at each position, only tokens that some continuation has there count.

    logits_BV: of the prompts' last positions; continuations: of each prompt, token ids, each with at least one.
    """
    flat = [(row, tuple(ids)) for row, options in enumerate(continuations) for ids in options]
    allowed = [_followers(options) if within else None for options in continuations]
    totals = np.array([_gain(logits_BV[row], ids, 0, allowed[row]) for row, ids in flat], np.float64)
    longer = [n for n, (_, ids) in enumerate(flat) if len(ids) > 1]
    at_once = max(1, min(ROWS_AT_ONCE, POSITIONS_AT_ONCE // cache.mask_BL.shape[1]))
    for start in range(0, len(longer), at_once):
        batch = longer[start : start + at_once]
        length = max(len(flat[n][1]) for n in batch) - 1
        mask_BL = np.zeros((len(batch), length), np.int64)
        padded = np.zeros((len(batch), length), np.int64)
        for b, n in enumerate(batch):
            ids = flat[n][1]
            padded[b, : len(ids) - 1] = ids[:-1]
            mask_BL[b, : len(ids) - 1] = 1
        embeds_BLD = np.stack([engine.embed(row.tolist()) for row in padded])
        logits_BLV, _ = engine.forward(embeds_BLD, mask_BL, engine.take(cache, [flat[n][0] for n in batch]), every=True)
        for b, n in enumerate(batch):
            row, ids = flat[n]
            totals[n] += sum(_gain(logits_BLV[b, i - 1], ids, i, allowed[row]) for i in range(1, len(ids)))
    if not within:
        totals /= np.array([len(ids) for _, ids in flat])
    ends = np.cumsum([len(options) for options in continuations])
    return np.split(totals, ends[:-1])


def _followers(continuations: Sequence[Sequence[int]]) -> dict[tuple[int, ...], list[int]]:
    """For each prefix of a continuation, the tokens that may follow."""
    found: dict[tuple[int, ...], list[int]] = {}
    for ids in continuations:
        for i, token in enumerate(ids):
            following = found.setdefault(tuple(ids[:i]), [])
            if token not in following:
                following.append(token)
    return found


def _gain(
    logits_V: np.ndarray, ids: tuple[int, ...], position: int, allowed: dict[tuple[int, ...], list[int]] | None
) -> float:
    """Log-probability of a continuation's token at a position, among all tokens or those allowed there."""
    if allowed is None:
        return float(log_softmax(logits_V)[ids[position]])
    among = allowed[ids[:position]]
    return float(log_softmax(logits_V[among])[among.index(ids[position])])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis, float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result
