"""Weights in fewer bits: blocks of a row share a scale, or all weights of an output share a scale.

The blocks are laid out as ONNX Runtime's MatMulNBits reads them, and rows of them can be restored one by one, so that
one table in a file serves as output matrix and as embedding.

Shapes: N rows (outputs), K columns (inputs), G = K / BLOCK blocks of a row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["BLOCK", "Blocks", "quantise_blocks", "quantise_columns", "restore"]

ROWS = 2048  # quantised at once: bounds the memory
MOST_STEPS = 63  # of 127: x86 processors before VNNI add two products of 8 bits in 16, which more would overflow
TINY = 1e-12  # the least scale
BLOCK = 32  # columns that share a scale; the base language model's own 4-bit blocks have as many


class Blocks(NamedTuple):
    """A matrix in blocks: value = (steps - middle) * scale, with 8 as the middle of 4 bits and 128 of 8.

    steps: (N, G, BLOCK * bits / 8) uint8, the lower half of a byte first; scales: (N, G) float32.
    """

    steps: np.ndarray
    scales: np.ndarray


def quantise_blocks(weight_NK: np.ndarray, bits: int) -> Blocks:
    """A float32 matrix in blocks of 4 or 8 bits; columns are padded with zeros to whole blocks.

    The number of a block that is furthest from 0 becomes the lowest step, of which there is one more than of high ones.
    No block has a zero point of its own: with 4 bits it gains nothing here (docs/log.md), and ONNX Runtime's kernels
    for x86 without AVX-512 compute wrongly with them (its issue 29853).
    """
    parts = [_quantise(weight_NK[n : n + ROWS], bits) for n in range(0, len(weight_NK), ROWS)]
    return Blocks(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _quantise(weight_NK: np.ndarray, bits: int) -> Blocks:
    rows, columns = weight_NK.shape
    blocks_NGS = np.pad(weight_NK, ((0, 0), (0, -columns % BLOCK))).reshape(rows, -1, BLOCK).astype(np.float32)
    middle = 1 << (bits - 1)
    low, high = blocks_NGS.min(2), blocks_NGS.max(2)
    scales = np.where(-low > high, low, high) / -middle
    scales = np.where(np.abs(scales) < TINY, TINY, scales)
    steps = np.clip(np.rint(blocks_NGS / scales[..., None]) + middle, 0, 2 * middle - 1)
    return Blocks(_pack(steps.astype(np.uint8), bits), scales.astype(np.float32))


def restore(blocks: Blocks, columns: int) -> np.ndarray:
    """The float32 values (N, columns) of a matrix or of some of its rows."""
    bits = 8 * blocks.steps.shape[2] // BLOCK
    steps = _unpack(blocks.steps, bits).astype(np.float32) - (1 << (bits - 1))
    values: np.ndarray = (steps * blocks.scales[..., None]).reshape(len(steps), -1)[:, :columns]
    return values


def quantise_columns(weight_KN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float32 matrix as int8 steps (K, N), at most MOST_STEPS either way, of one scale (N) per column."""
    scales = (np.maximum(np.abs(weight_KN).max(0), 1e-12) / MOST_STEPS).astype(np.float32)
    return np.rint(weight_KN / scales).astype(np.int8), scales


def _pack(steps: np.ndarray, bits: int) -> np.ndarray:
    """Two 4-bit values of the last axis in a byte; 8-bit ones stay."""
    if bits == 8:
        return steps
    packed: np.ndarray = steps[..., ::2] | steps[..., 1::2] << 4
    return packed


def _unpack(packed: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return packed
    return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)
