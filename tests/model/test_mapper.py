"""The compact projection: pooling, its start as words, gradients; cached features give the tokens of a forward."""

from __future__ import annotations

import pytest
import torch

from mellow.model.encoder import EncoderOutput
from mellow.model.mapper import CompactMapper, pool_steps

E, C, D = 12, 5, 8


def encoded(steps: int, batch: int = 1) -> EncoderOutput:
    generator = torch.Generator().manual_seed(steps)
    frames_BTE = torch.randn(batch, steps, E, generator=generator)
    scores_BTC = torch.randn(batch, steps, C, generator=generator)
    return EncoderOutput(frames_BTE, frames_BTE.mean(1), scores_BTC, scores_BTC.amax(1))


@pytest.fixture
def mapper() -> CompactMapper:
    torch.manual_seed(0)
    mapper = CompactMapper(frame_width=E, classes=C, width=D, frames_per_row=2)
    torch.nn.init.normal_(mapper.linear2.weight)
    torch.nn.init.normal_(mapper.linear2.bias)
    return mapper


@pytest.mark.parametrize(("steps", "tokens"), [(1, 1), (2, 1), (3, 2), (62, 31), (63, 32)])
def test_tokens_per_steps(mapper: CompactMapper, steps: int, tokens: int) -> None:
    assert mapper(encoded(steps, batch=2)).shape == (2, tokens, D)


def test_steps_are_averaged_and_a_short_last_group_repeats_its_last_step() -> None:
    x_BTE = torch.tensor([[[1.0], [3.0], [5.0], [9.0], [2.0]]])
    assert pool_steps(x_BTE, 1).flatten().tolist() == [1, 3, 5, 9, 2]
    assert pool_steps(x_BTE, 2).flatten().tolist() == [2, 7, 2]
    assert pool_steps(x_BTE, 3).flatten().tolist() == [3, pytest.approx(13 / 3)]


def test_an_untrained_projection_gives_the_words_of_the_recognised_classes() -> None:
    mapper = CompactMapper(frame_width=E, classes=C, width=D, frames_per_row=2)
    heard = encoded(2)
    heard.step_scores_BTC.fill_(-100.0)
    heard.step_scores_BTC[:, :, 3] = 100.0
    torch.testing.assert_close(mapper(heard)[0, 0], mapper.class_words.weight[:, 3])


def test_tokens_of_cached_features_equal_those_of_a_forward(mapper: CompactMapper) -> None:
    """Training pools frames and probabilities first and projects them later, without a batch."""
    heard = encoded(7)
    frames_KE, scores_KC = pool_steps(heard.frames_BTE, 2)[0], pool_steps(heard.step_scores_BTC.sigmoid(), 2)[0]
    torch.testing.assert_close(mapper.tokens(frames_KE, scores_KC), mapper(heard)[0])


def test_batch_equals_single(mapper: CompactMapper) -> None:
    heard = encoded(6, batch=3)
    together = mapper(heard)
    for b in range(3):
        one = mapper(EncoderOutput(*(part[b : b + 1] for part in heard)))
        torch.testing.assert_close(together[b : b + 1], one)


def test_gradients_reach_every_weight(mapper: CompactMapper) -> None:
    mapper(encoded(6)).square().sum().backward()
    assert [name for name, p in mapper.named_parameters() if p.grad is None or not p.grad.any()] == []
