"""Rotating a language model's residual stream, so that it has no outlier channels and can be rounded to 8 bits.

An RMS norm without a weight gives a rotated row the rotated result. So all that writes to the stream can write rotated
rows and all that reads them rotate them back, each in its own matrix, and nothing else changes (QuaRot, Ashkboos et
al., 2024, section 4). Here the rotation is a random sign per channel, then a Hadamard matrix for the largest power of
two in the width and a cosine transform for the rest: much cheaper to fold into weights than any matrix. The graph holds
it as a matrix where there are no weights to fold it into: at the embeddings, and before the output matrix.

Shapes: N rows, D width.
"""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["rotate"]


def rotate(rows_ND: np.ndarray) -> np.ndarray:
    """Rows (N, D) times one orthogonal matrix, the same for all of a width; float32."""
    width = rows_ND.shape[1]
    two = width & -width
    rest = width // two
    signs_D = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), width)
    parts_NRT = (rows_ND * signs_D).reshape(-1, rest, two) @ _hadamard(two)
    rotated: np.ndarray = (_cosines(rest) @ parts_NRT).reshape(-1, width)
    return rotated


@cache
def _hadamard(side: int) -> np.ndarray:
    """Orthogonal, every entry of the same size; side: a power of two."""
    matrix: np.ndarray = np.ones((1, 1), np.float32)
    while len(matrix) < side:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / np.float32(2**0.5)
    return matrix


@cache
def _cosines(side: int) -> np.ndarray:
    """The orthogonal matrix of the cosine transform (DCT-II)."""
    place = np.arange(side)
    matrix: np.ndarray = np.cos(np.pi / side * (place + 0.5) * place[:, None]) * np.sqrt(2 / side)
    matrix[0] *= np.sqrt(0.5)
    return np.asarray(matrix, np.float32)
