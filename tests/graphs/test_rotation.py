"""The rotate of the residual stream: a cheap orthogonal matrix that spreads what stands out."""

import numpy as np
import pytest

from mellow.graphs.rotation import rotate


@pytest.mark.parametrize("width", [1, 3, 16, 24, 72, 576])
def test_it_is_an_orthogonal_matrix(width: int) -> None:
    matrix_DD = rotate(np.eye(width, dtype=np.float32))
    np.testing.assert_allclose(matrix_DD @ matrix_DD.T, np.eye(width), atol=1e-5)
    rows_ND = np.random.default_rng(1).standard_normal((5, width)).astype(np.float32)
    np.testing.assert_allclose(rotate(rows_ND), rows_ND @ matrix_DD, atol=1e-5)


def test_a_channel_that_stands_out_is_spread_over_all() -> None:
    row_D = np.zeros((1, 576), np.float32)
    row_D[0, 7] = 1
    assert np.abs(rotate(row_D)).max() < 0.1
