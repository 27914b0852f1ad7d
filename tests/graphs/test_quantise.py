"""Weights in fewer bits."""

import numpy as np
import pytest

from mellow.graphs.quantise import MOST_STEPS, quantise_blocks, quantise_columns, restore

WEIGHT = np.random.default_rng(0).standard_normal((50, 72)).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
def test_blocks_are_off_by_a_step_at_most(bits: int) -> None:
    """Half a step by rounding; a whole one where the number is as far above 0 as the furthest is below."""
    found = restore(quantise_blocks(WEIGHT, bits), WEIGHT.shape[1])
    for k in range(0, 72, 32):
        span = WEIGHT[:, k : k + 32]
        step_N = np.abs(span).max(1) / (1 << bits - 1)
        assert (np.abs(found[:, k : k + 32] - span) <= 1.001 * step_N[:, None]).all()


def test_zeros_stay_zeros() -> None:
    sparse = WEIGHT * (np.arange(72) % 3 == 0)
    found = restore(quantise_blocks(sparse, 4), 72)
    assert not found[sparse == 0].any()
    assert not restore(quantise_blocks(np.zeros((2, 40), np.float32), 8), 40).any()


def test_columns_have_few_enough_steps_for_every_processor() -> None:
    """Two products of 255 by a step have to fit in 16 bits: x86 processors before VNNI cut off what does not."""
    steps_KN, scales_N = quantise_columns(WEIGHT)
    assert np.abs(steps_KN).max() == MOST_STEPS
    assert 2 * 255 * MOST_STEPS < 1 << 15
    assert (np.abs(steps_KN * scales_N - WEIGHT) <= 0.501 * scales_N).all()


def test_columns_of_zeros_stay_zeros() -> None:
    steps_KN, scales_N = quantise_columns(np.zeros((4, 3), np.float32))
    assert not steps_KN.any() and np.isfinite(scales_N).all()
