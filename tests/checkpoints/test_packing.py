"""What is lost in packing: at most half a step of a row, and nothing of what was in int8 before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellow.checkpoints.int8 import check_packed, pack, unpack


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), spread=st.sampled_from([1e-6, 1e-2, 1.0, 1e4]), columns=st.sampled_from([64, 100]))
def test_matrices_are_within_half_a_step_of_their_row(seed: int, spread: float, columns: int) -> None:
    matrix = (spread * np.random.default_rng(seed).standard_normal((64, columns))).astype(np.float32)
    matrix[3] = 0.0
    packed = pack({"m": matrix})
    assert packed["m"].dtype == np.int8
    step = np.abs(matrix).max(1, keepdims=True) / 127
    assert (np.abs(unpack(packed)["m"] - matrix) <= 0.501 * step).all()


@pytest.mark.parametrize("step", [0.05, 1.0, 3.3e-5])
def test_values_that_are_int8_steps_already_stay_as_they_are(step: float) -> None:
    """CED's weights come in int8; packing them again must not move them. Rows do not all reach 127 steps."""
    steps = np.random.default_rng(0).integers(-127, 128, (64, 64))
    steps[:32] //= 4
    matrix = steps.astype(np.float32) * np.float32(step)
    packed = pack({"m": matrix})
    assert np.array_equal(packed["m"], steps)
    np.testing.assert_allclose(unpack(packed)["m"], matrix, rtol=3e-7)  # float32 has 1.2e-7


def test_a_grid_with_an_outlier_is_no_int8_source() -> None:
    matrix = np.zeros((64, 64), np.float32)
    matrix[0, 0], matrix[1, 1], matrix[2, 2] = 1.0, 2.0, 1000.0
    np.testing.assert_allclose(unpack(pack({"m": matrix}))["m"], matrix, rtol=0.005)


@pytest.mark.parametrize("shape", [(5000,), (8, 8), (64, 1, 16, 16), (3, 2, 4)])
def test_shapes_come_back_and_small_tensors_are_kept_exactly(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = unpack(pack({"x": array}))["x"]
    assert found.shape == shape
    assert found.dtype == np.float32
    if array.size < 4096 or array.ndim < 2:
        assert np.array_equal(found, array)


def test_packing_twice_changes_nothing_more() -> None:
    once = unpack(pack({"m": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}))
    np.testing.assert_allclose(unpack(pack(once))["m"], once["m"], rtol=1e-6)


@pytest.mark.parametrize("scale", [None, np.ones(3, np.float32)])
def test_a_matrix_without_a_scale_for_each_row_is_found(scale: np.ndarray | None) -> None:
    packed = pack({"m": np.ones((64, 64), np.float32)})
    check_packed(packed)
    del packed["m.scale"]
    with pytest.raises(ValueError, match="m has no scale"):
        check_packed(packed if scale is None else {**packed, "m.scale": scale})
