"""The decoding loop on made-up engines: greedy and top-p, why answers end, batches that shrink, scores of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from mellow.answer import decode
from mellow.answer.choose import ChoiceRule, decide, score_options
from mellow.answer.decode import (
    ROWS_AT_ONCE,
    Completion,
    DecodingOptions,
    generate,
    log_softmax,
    next_tokens,
    prefill,
    score_continuations,
)
from mellow.engines.interface import Cache
from mellow.errors import QuestionError
from mellow.types import Encoded

V, STOP = 12, 0
History = tuple[int, ...]


@dataclass
class Fake:
    """An engine whose logits are any function of the tokens read so far; embeddings are the ids themselves."""

    rule: Callable[[History], np.ndarray]
    positions: int = 1000
    batches: list[int] = field(default_factory=list)

    def encode(self, mel_FM: np.ndarray) -> Encoded:
        raise NotImplementedError

    def embed(self, ids: Sequence[int], audio_ND: np.ndarray | None = None) -> np.ndarray:
        return np.array(ids, np.float32)[:, None]

    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        self.batches.append(len(embeds_BLD))
        before = cache.state if cache is not None else [()] * len(embeds_BLD)
        state: list[History] = []
        logits = np.zeros((*mask_BL.shape, V), np.float32)
        for b, history in enumerate(before):
            for at in np.flatnonzero(mask_BL[b]):
                history = (*history, int(embeds_BLD[b, at, 0]))
                logits[b, at] = self.rule(history)
            state.append(history)
        whole_BL = mask_BL if cache is None else np.concatenate([cache.mask_BL, mask_BL], 1)
        return logits if every else logits[:, -1], Cache(whole_BL, state)

    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        return Cache(cache.mask_BL[list(rows)], [cache.state[row] for row in rows])


def hashed(history: History) -> np.ndarray:
    """Different logits for every history."""
    return 3 * np.random.default_rng(history).standard_normal(V)


def scripted(answers: dict[int, list[int]]) -> Callable[[History], np.ndarray]:
    """A prompt of one token is followed by its answer."""

    def rule(history: History) -> np.ndarray:
        logits_V = np.zeros(V)
        answer = answers[history[0]]
        logits_V[answer[len(history) - 1] if len(history) <= len(answer) else STOP] = 9.0
        return logits_V

    return rule


def answer(engine: Fake, prompts: Sequence[Sequence[int]], decoding: DecodingOptions | None = None) -> list[Completion]:
    logits_BV, cache = prefill(engine, [engine.embed(prompt) for prompt in prompts])
    return generate(engine, logits_BV, cache, stop_ids=(STOP,), decoding=decoding or DecodingOptions(max_new_tokens=9))


# --- ends -----------------------------------------------------------------------------------------------------------


def test_greedy_answers_and_why_they_ended() -> None:
    engine = Fake(scripted({1: [5, 6, 7], 2: [], 3: [8] * 20}))
    assert answer(engine, [[1], [2], [3]], DecodingOptions(max_new_tokens=5)) == [
        Completion((5, 6, 7), "end"),
        Completion((), "end"),
        Completion((8,) * 5, "length"),
    ]


def test_answers_that_have_ended_leave_the_batch() -> None:
    engine = Fake(scripted({1: [5, 6, 7], 2: [], 3: [8]}))
    answer(engine, [[1], [2], [3]])
    assert engine.batches == [3, 2, 1, 1]  # the prompt; then those that still run


def test_nothing_is_read_when_all_answers_have_ended() -> None:
    engine = Fake(scripted({1: [], 2: []}))
    answer(engine, [[1], [2]])
    assert engine.batches == [2]


@pytest.mark.parametrize("most", [1, 4])
def test_nothing_is_read_behind_the_last_token(most: int) -> None:
    engine = Fake(scripted({1: [5] * 9}))
    assert answer(engine, [[1]], DecodingOptions(max_new_tokens=most))[0].stop_reason == "length"
    assert engine.batches == [1] * most


def test_an_answer_that_ends_with_its_last_allowed_token_ends() -> None:
    engine = Fake(scripted({1: [5, 6]}))
    assert answer(engine, [[1]], DecodingOptions(max_new_tokens=3)) == [Completion((5, 6), "end")]
    assert answer(engine, [[1]], DecodingOptions(max_new_tokens=2)) == [Completion((5, 6), "length")]


def test_steps_stop_when_nobody_asks_for_more() -> None:
    engine = Fake(scripted({1: [5] * 9}))
    logits_BV, cache = prefill(engine, [np.array([[1.0]], np.float32)])
    running = decode.decode(engine, logits_BV, cache, stop_ids=(STOP,), decoding=DecodingOptions())
    assert [next(running), next(running)] == [{0: 5}, {0: 5}]
    assert engine.batches == [1, 1]


@pytest.mark.parametrize(
    "decoding", [DecodingOptions(max_new_tokens=7), DecodingOptions(max_new_tokens=7, sample=True, seed=3)]
)
def test_a_batch_of_prompts_of_any_length_answers_as_each_alone(decoding: DecodingOptions) -> None:
    prompts = [[1, 2, 3, 4], [5], [6, 7], [8, 9, 10, 11, 1, 2]]
    together = answer(Fake(hashed), prompts, decoding)
    assert together == [answer(Fake(hashed), [prompt], decoding)[0] for prompt in prompts]
    assert len({completion.ids for completion in together}) == len(prompts)


def test_prompts_are_padded_on_the_left_and_go_on_behind_a_cache() -> None:
    engine = Fake(hashed)
    _, cache = prefill(engine, [np.array([[3.0], [4.0]], np.float32)] * 2)
    assert cache.mask_BL.tolist() == [[1, 1], [1, 1]]
    logits_BV, longer = prefill(engine, [np.array([[5.0]], np.float32), np.array([[6.0], [7.0]], np.float32)], cache)
    assert longer.mask_BL.tolist() == [[1, 1, 0, 1], [1, 1, 1, 1]]
    np.testing.assert_allclose(logits_BV, [hashed((3, 4, 5)), hashed((3, 4, 6, 7))], rtol=1e-6)
    assert cache.state == [(3, 4), (3, 4)]  # a value: not changed


# --- decoding -------------------------------------------------------------------------------------------------------

SHARES = np.array([0.05, 0.5, 0.15, 0.3])


def drawn(count: int = 4000, **how: float) -> np.ndarray:
    """How often each of four tokens is drawn."""
    rngs = [np.random.default_rng(seed) for seed in range(count)]
    tokens = next_tokens(np.log(np.tile(SHARES, (count, 1))), DecodingOptions(sample=True, **how), rngs)  # type: ignore[arg-type]
    return np.bincount(tokens, minlength=4) / count


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    np.testing.assert_allclose(drawn(top_p=0.79), [0, 0.5 / 0.8, 0, 0.3 / 0.8], atol=0.03)
    np.testing.assert_allclose(drawn(top_p=0.81), [0, 0.5 / 0.95, 0.15 / 0.95, 0.3 / 0.95], atol=0.03)
    np.testing.assert_allclose(drawn(top_p=1.0), SHARES, atol=0.03)
    assert drawn(top_p=1e-9).tolist() == [0, 1, 0, 0]


def test_temperature_flattens_and_sharpens() -> None:
    np.testing.assert_allclose(drawn(top_p=1.0, temperature=1e6), [0.25] * 4, atol=0.03)
    np.testing.assert_allclose(drawn(top_p=1.0, temperature=1e-6), [0, 1, 0, 0])
    np.testing.assert_allclose(drawn(top_p=1.0, temperature=0.5), SHARES**2 / (SHARES**2).sum(), atol=0.03)


def test_without_sampling_the_likeliest_token_is_taken_the_first_of_equals() -> None:
    assert next_tokens(np.array([[0.0, 2, 2, 1], [3, 0, 0, 0]]), DecodingOptions(), []) == [1, 0]


def test_seeded_answers_repeat_and_unseeded_ones_vary() -> None:
    def draw(seed: int | None) -> tuple[int, ...]:
        return answer(
            Fake(hashed), [[1]], DecodingOptions(max_new_tokens=9, sample=True, top_p=1.0, temperature=5.0, seed=seed)
        )[0].ids

    assert draw(7) == draw(7)
    assert len({draw(None) for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_p": float("nan")}, "top_p is nan"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
    ],
)
def test_impossible_sampling_is_an_error(how: dict[str, float], message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        DecodingOptions(**how)  # type: ignore[arg-type]


# --- options --------------------------------------------------------------------------------------------------------


def test_scores_are_mean_log_likelihoods_per_token() -> None:
    """Against reading token by token; more options than go in one pass, of different lengths."""
    engine = Fake(hashed)
    rng = np.random.default_rng(0)
    continuations = [rng.integers(1, V, 1 + n % 5).tolist() for n in range(ROWS_AT_ONCE + 7)]
    logits_BV, cache = prefill(engine, [np.array([[1.0], [2.0]], np.float32)])
    (scores,) = score_continuations(engine, logits_BV, cache, [continuations])
    for score, ids in zip(scores, continuations, strict=True):
        alone = [log_softmax(hashed((1, 2, *ids[:n])))[token] for n, token in enumerate(ids)]
        assert score == pytest.approx(np.mean(alone), abs=1e-5)
    assert max(engine.batches) <= ROWS_AT_ONCE


def test_options_of_one_token_cost_no_pass() -> None:
    engine = Fake(hashed)
    logits_BV, cache = prefill(engine, [np.array([[1.0]], np.float32)])
    score_continuations(engine, logits_BV, cache, [[[3], [4]]])
    assert engine.batches == [1]


def test_options_of_many_prompts_are_scored_together() -> None:
    engine = Fake(hashed)
    options = [[[3, 4], [5, 6]], [[7, 8], [9, 1], [2, 3]]]
    prompts = [np.array([[1.0], [2.0]], np.float32), np.array([[5.0]], np.float32)]
    together = score_continuations(engine, *prefill(engine, prompts), options)
    assert engine.batches == [2, 5]  # one pass for all five
    for prompt, mine, scores in zip(prompts, options, together, strict=True):
        (alone,) = score_continuations(engine, *prefill(engine, [prompt]), [mine])
        np.testing.assert_allclose(scores, alone, atol=1e-5)


def test_options_behind_a_long_past_are_scored_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the copies of their keys and values stay within bounds; the scores are the same."""
    prompt = [np.arange(1.0, 8.0, dtype=np.float32)[:, None]]
    options = [[[3, 4], [5, 6], [7, 8], [9, 1], [2, 3]]]
    engine = Fake(hashed)
    (together,) = score_continuations(engine, *prefill(engine, prompt), options)
    monkeypatch.setattr(decode, "POSITIONS_AT_ONCE", 15)
    (apart,) = score_continuations(engine, *prefill(engine, prompt), options)
    assert engine.batches == [1, 5, 1, 2, 2, 1]
    np.testing.assert_allclose(apart, together)


def test_constrained_decoding_is_a_distribution_over_the_options() -> None:
    """Its probabilities sum to one, and are shares of the tokens that lead to some option, step by step."""
    engine = Fake(hashed)
    options = [[3, 4, 0], [3, 5, 0], [6, 0], [3, 5, 7, 0]]
    prompt = prefill(engine, [np.array([[1.0], [2.0]], np.float32)])
    (scores,) = score_continuations(engine, *prompt, [options], within=True)
    assert np.exp(scores).sum() == pytest.approx(1)

    def share(seen: tuple[int, ...], token: int, among: list[int]) -> float:
        logits_V = hashed((1, 2, *seen))
        return float(log_softmax(logits_V[among])[among.index(token)])

    wanted = share((), 3, [3, 6]) + share((3,), 5, [4, 5]) + share((3, 5), 7, [0, 7])  # one way on from [3, 5, 7]
    assert scores[3] == pytest.approx(wanted, abs=1e-5)
    assert scores[2] == pytest.approx(share((), 6, [3, 6]), abs=1e-5)


def test_equal_options_are_scored_once_and_have_one_score() -> None:
    """In whatever case they are written; the tokens of the first one count, so letters in front do not matter."""
    engine = Fake(hashed)
    after = prefill(engine, [np.array([[1.0]], np.float32)])
    options, ids = ["dog", "cat", "Dog", "cat"], [[3, 4], [5, 6], [7, 8], [9, 1]]
    (scores,) = score_options(engine, [options], [ids], after=after, rule=ChoiceRule())
    (distinct,) = score_continuations(engine, *after, [ids[:2]])
    np.testing.assert_allclose(scores, [*distinct, *distinct])
    assert engine.batches == [1, 2, 2]
    answer, plain = decide(options, scores, ChoiceRule()), decide(options[:2], distinct, ChoiceRule())
    assert (answer.choice, answer.probabilities) == (plain.choice, plain.probabilities * 2)


@pytest.mark.parametrize("how", [{"by": "chance"}, {"abstain_below": 1.5}, {"temperature": 0.0}])
def test_impossible_rules(how: dict[str, Any]) -> None:
    with pytest.raises(QuestionError):
        ChoiceRule(**how)


def test_the_option_with_the_highest_score_is_chosen() -> None:
    chosen = decide(["dog", "cat", "rain"], np.array([-3.0, -1.0, -2.0]), ChoiceRule())
    assert (chosen.text, chosen.choice, chosen.stop_reason) == ("cat", "cat", "choice")
    assert chosen.options == ("dog", "cat", "rain")
    assert sum(chosen.probabilities) == pytest.approx(1)
    assert np.argsort(chosen.probabilities).tolist() == [0, 2, 1]


def test_temperature_makes_probabilities_surer_but_not_other_choices() -> None:
    scores = np.array([-3.0, -1.0, -2.0])
    sure, unsure = (decide(["a", "b", "c"], scores, ChoiceRule(temperature=t)) for t in (0.1, 10.0))
    assert sure.choice == unsure.choice == "b"
    assert sure.probabilities[1] > 0.99 > 0.4 > unsure.probabilities[1]


def test_no_option_is_chosen_when_none_is_probable_enough() -> None:
    scores = np.array([0.0, 0.1])
    unsure = decide(["a", "b"], scores, ChoiceRule(abstain_below=0.6))
    assert (unsure.choice, unsure.options, unsure.stop_reason) == (None, ("a", "b"), "abstained")
    assert unsure.text
    assert sum(unsure.probabilities) == pytest.approx(1)
    assert decide(["a", "b"], scores, ChoiceRule(abstain_below=0.5)).choice == "b"


@pytest.mark.parametrize("logits", [[0.0, 0.0], [1e4, -1e4], [-1e30, -1e30, 0.0]])
def test_log_softmax_of_extremes(logits: list[float]) -> None:
    assert np.exp(log_softmax(np.array(logits))).sum() == pytest.approx(1)
