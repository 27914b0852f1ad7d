"""The input embedding, looked up in the weights file without a graph.

Shapes: V vocabulary, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mellow.graphs.quantise import Blocks, restore

__all__ = ["EmbeddingTable"]


class EmbeddingTable:
    """Rows of a table in float32, float16 or blocks of fewer bits.

    parts: the table, or its `steps` and `scales`, by the last part of their names; width: D.
    """

    def __init__(self, parts: Mapping[str, np.ndarray], width: int) -> None:
        self.parts = {name.rpartition(".")[2]: array for name, array in parts.items()}
        self.width = width

    def __getitem__(self, ids_L: np.ndarray) -> np.ndarray:
        """Embeddings (L, D), float32, of token ids (L), none of them a placeholder."""
        rows = {name: array[ids_L] for name, array in self.parts.items()}
        if "weight" in rows:
            return np.asarray(rows["weight"], np.float32)
        return restore(Blocks(**rows), self.width)
