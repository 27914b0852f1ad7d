"""The KV cache: buffers that grow in place, and caches that are values.

Shapes: B batch, K key heads, T positions (the capacity), E width of a head.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

__all__ = ["KVBuffer", "KVCache"]

GROWTH = 64  # positions by which a cache can grow before it is copied


class KVBuffer:
    """Keys and values of all layers, bound to the decoder's inputs and outputs, so that new ones are written in place.

    both: (layers, 2, B, K, T, E); filled: positions (B) of the longest cache in it, the only one that can grow.
    """

    def __init__(self, shape: tuple[int, int, int, int], filled_B: np.ndarray, spare: int) -> None:
        """shape: layers, B, K and E; spare: positions beyond the filled ones."""
        layers, batch, heads, width = shape
        self.both = np.zeros((layers, 2, batch, heads, int(filled_B.max(initial=0)) + spare, width), np.float32)
        self.filled_B = filled_B
        self.bindings: dict[range, onnxruntime.IOBinding] = {}
        self.lock = threading.Lock()

    def reserve(self, lengths_B: np.ndarray, new: int, after_B: np.ndarray) -> bool:
        """Reserve `new` positions after the cache of these lengths, if they are still free."""
        with self.lock:
            capacity = self.both.shape[4] - int(lengths_B.max(initial=0))
            free = capacity >= new and np.array_equal(self.filled_B, lengths_B)
            if free:
                self.filled_B = after_B
            return free

    def binding(self, session: onnxruntime.InferenceSession, rows: range) -> onnxruntime.IOBinding:
        """The decoder's inputs and outputs in these rows of the buffer; created once for each range of rows."""
        if rows not in self.bindings:
            self.bindings[rows] = binding = session.io_binding()
            for layer, pair in enumerate(self.both):
                for name, whole in zip(("keys", "values"), pair, strict=True):
                    part = whole[rows.start : rows.stop]
                    place = ("cpu", 0, np.float32, part.shape, part.ctypes.data)
                    binding.bind_input(f"past_{name}.{layer}", *place)
                    binding.bind_output(f"{name}.{layer}", *place)
        return self.bindings[rows]


@dataclass(frozen=True, eq=False)
class KVCache:
    """The first positions of each row of a buffer: lengths (B), padding not counted."""

    buffer: KVBuffer
    lengths_B: np.ndarray

    def copy(self, rows: Sequence[int], spare: int = GROWTH) -> KVCache:
        """A cache of these rows in a buffer of its own."""
        lengths_B = self.lengths_B[list(rows)]
        layers, _, _, heads, _, width = self.buffer.both.shape
        buffer = KVBuffer((layers, len(rows), heads, width), lengths_B, spare)
        most = int(lengths_B.max(initial=0))
        for layer, pair in enumerate(self.buffer.both):  # layer by layer: no second copy of everything
            buffer.both[layer, :, :, :, :most] = pair[:, list(rows), :, :most]
        return KVCache(buffer, lengths_B)
