"""Trained tensors in a quarter of their size: matrices in int8 with one float32 scale per row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["check_packed", "pack", "packed_names", "restore", "unpack"]

SCALE = ".scale"
SMALLEST = 4096  # numbers; smaller tensors stay in float32


def pack(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices to int8 with one float32 scale per row (the exact step, where values already are int8 steps)."""
    packed: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if array.ndim < 2 or array.size < SMALLEST:
            packed[name] = np.ascontiguousarray(array, dtype=np.float32)
            continue
        flat = array.reshape(len(array), -1).astype(np.float32)
        step = _common_step(flat)
        scale = np.full(len(flat), step, np.float32) if step else np.maximum(np.abs(flat).max(1), 1e-12) / 127
        packed[name] = np.rint(flat / scale[:, None]).astype(np.int8).reshape(array.shape)
        packed[name + SCALE] = scale.astype(np.float32)
    return packed


def unpack(packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `pack`, float32."""
    return {name: restore(packed, name) for name in packed_names(packed)}


def restore(packed: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """One tensor, float32."""
    array = packed[name]
    if array.dtype != np.int8:
        return array
    restored: np.ndarray = array.astype(np.float32) * packed[name + SCALE].reshape(-1, *[1] * (array.ndim - 1))
    return restored


def packed_names(packed: Mapping[str, np.ndarray]) -> list[str]:
    """The names of the tensors, in the order of the file."""
    return [name for name in packed if not name.endswith(SCALE)]


def check_packed(packed: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where a matrix in int8 has no scale for each of its rows."""
    for name, array in packed.items():
        if array.dtype == np.int8 and (name + SCALE not in packed or packed[name + SCALE].shape != array.shape[:1]):
            raise ValueError(f"{name} has no scale for each of its rows")


def _common_step(flat: np.ndarray) -> float | None:
    """The step of values that all are small whole multiples of it (an int8 source), else None."""
    values = np.unique(flat)
    if not 1 < len(values) <= 256:
        return None
    whole = values / float(np.diff(values).min())  # approximate: the difference has the rounding errors of both values
    if np.abs(whole).max() >= 127.5 or not np.allclose(whole, np.rint(whole), atol=1e-2):
        return None
    largest = int(np.abs(values).argmax())
    return float(values[largest] / np.rint(whole[largest]))
