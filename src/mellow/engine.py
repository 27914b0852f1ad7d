"""The small interface behind which every engine answers: what `decode` needs, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Cache", "Engine", "Heard"]


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip as an engine heard it.

    rows_KD: audio rows for the language model; words: ids of the words heard; scores_C: class logits of the clip.
    """

    rows_KD: np.ndarray
    words: Sequence[int]
    scores_C: np.ndarray


@dataclass(frozen=True, eq=False)
class Cache:
    """Keys and values of everything read so far; a value: `forward` returns a new one and never changes the old.

    mask_BL: 1 where a position counts, 0 where it is padding. state: the engine's own.
    """

    mask_BL: np.ndarray
    state: Any

    @property
    def batch(self) -> int:
        return len(self.mask_BL)


class Engine(Protocol):
    """A model that can hear, embed and read on; implemented with torch, and with ONNX Runtime.

    positions: the most tokens, audio tokens included, that the language model was made for; from its config.
    """

    @property
    def positions(self) -> int: ...

    def encode(self, windows: Sequence[np.ndarray]) -> Heard:
        """Hear one clip: its log-mel windows (F, M), in order."""
        ...

    def embed(self, ids: Sequence[int], rows_ND: np.ndarray) -> np.ndarray:
        """Input embeddings (L, D) of expanded ids, with the audio rows in place of ROW."""
        ...

    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        """Read on. Returns logits, float32, of the last position (B, V) or of every one (B, L, V), and the new cache.

        mask_BL: of the new positions. Positions are counted over unmasked ones only, so padding anywhere is harmless.
        """
        ...

    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        """A cache of the given rows: repeated (options behind one prompt) or fewer (answers that have ended)."""
        ...
