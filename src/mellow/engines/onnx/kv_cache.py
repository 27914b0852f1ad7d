"""Keys and values that grow in place, while every past stays a value.

Shapes: B batch, K key heads, T positions with room to grow, E width of a head.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

__all__ = ["KVBuffer", "KVCache"]

GROWTH = 64  # positions that a store can grow by before it is copied


class KVBuffer:
    """Keys and values of all layers, bound to the decoder's inputs and outputs: what is read is written in place.

    both: (layers, 2, B, K, T, E); filled: positions (B) of the longest past in it, which is the only one that grows.
    """

    def __init__(self, shape: tuple[int, int, int, int], filled_B: np.ndarray, room: int) -> None:
        """shape: layers, B, K and E."""
        layers, batch, heads, width = shape
        self.both = np.zeros((layers, 2, batch, heads, int(filled_B.max(initial=0)) + room, width), np.float32)
        self.filled_B = filled_B
        self.bindings: dict[range, onnxruntime.IOBinding] = {}
        self.lock = threading.Lock()

    def reserve(self, lengths_B: np.ndarray, new: int, after_B: np.ndarray) -> bool:
        """Take the room behind the past of these lengths for `new` positions, if it is still free."""
        with self.lock:
            room = self.both.shape[4] - int(lengths_B.max(initial=0))
            free = room >= new and np.array_equal(self.filled_B, lengths_B)
            if free:
                self.filled_B = after_B
            return free

    def binding(self, session: onnxruntime.InferenceSession, rows: range) -> onnxruntime.IOBinding:
        """The decoder's inputs and outputs that lie in these rows of the store; made once for each range of rows."""
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
    """The first positions of each row of a store: lengths (B), padding not counted."""

    store: KVBuffer
    lengths_B: np.ndarray

    def copy(self, rows: Sequence[int], room: int = GROWTH) -> KVCache:
        """A past of these rows in a store of its own."""
        lengths_B = self.lengths_B[list(rows)]
        layers, _, _, heads, _, width = self.store.both.shape
        store = KVBuffer((layers, len(rows), heads, width), lengths_B, room)
        most = int(lengths_B.max(initial=0))
        for layer, pair in enumerate(self.store.both):  # layer by layer: no second copy of everything
            store.both[layer, :, :, :, :most] = pair[:, list(rows), :, :most]
        return KVCache(store, lengths_B)
