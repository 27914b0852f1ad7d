"""The interface of all engines: encoding, embedding and logits, in numpy.

Shapes: F mel frames, M mel bins, K audio tokens, T encoder steps, C classes, E sounds of the event head, D width of the
language model, B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mellow.types import Encoded

__all__ = ["Cache", "Engine"]


@dataclass(frozen=True, eq=False)
class Cache:
    """Keys and values of all tokens so far; a value: `forward` returns a new one and never changes the old.

    mask_BL: 1 where a position counts, 0 where it is padding. state: the engine's own.
    """

    mask_BL: np.ndarray
    state: Any

    @property
    def batch(self) -> int:
        return len(self.mask_BL)


class Engine(Protocol):
    """A model that encodes windows, embeds tokens and computes logits, on torch or on ONNX Runtime.

    positions: of the language model's context, audio tokens included.
    """

    @property
    def positions(self) -> int: ...

    def encode(self, mel_FM: np.ndarray) -> Encoded:
        """Encode one window of log-mel; ModelError where the model produces non-finite values for it."""
        ...

    def embed(self, ids: Sequence[int], audio_ND: np.ndarray | None = None) -> np.ndarray:
        """Input embeddings (L, D) of expanded ids, with the audio tokens, in order, in place of AUDIO."""
        ...

    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        """Logits, float32, of the last new position (B, V) or of every one (B, L, V), and the new cache.

        mask_BL: of the new positions. Positions are counted over unmasked ones only, so padding anywhere is harmless.
        """
        ...

    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        """A cache of the given rows: repeated (options of one prompt) or fewer (unfinished answers)."""
        ...
