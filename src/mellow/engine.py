"""The small interface behind which every engine answers: what encoding and decoding need, in numpy.

Shapes: F mel frames, M mel bins, K audio tokens, T encoder steps, C classes, E sounds of the event head, D width of the
language model, B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Cache", "Encoded", "Engine", "join"]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A window, or a whole clip, as an engine encodes it; all arrays float32.

    audio_KD: audio tokens for the language model; clip_scores_C, step_scores_TC: class logits of the clip and of each
    step; event_scores_TE: logits of the event head at each step, or None where the model has none.
    """

    audio_KD: np.ndarray
    clip_scores_C: np.ndarray
    step_scores_TC: np.ndarray
    event_scores_TE: np.ndarray | None = None


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
    """A model that encodes windows, embeds tokens and computes logits; with torch, and with ONNX Runtime.

    positions: the most tokens, audio tokens included, that the language model was made for.
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
        """A cache of the given rows: repeated (options behind one prompt) or fewer (answers that have ended)."""
        ...


def join(windows: Sequence[Encoded]) -> Encoded:
    """The consecutive windows of one clip as a whole: tokens and steps in order, of clip scores the highest."""
    if len(windows) == 1:
        return windows[0]
    events = [window.event_scores_TE for window in windows if window.event_scores_TE is not None]
    return Encoded(
        np.concatenate([window.audio_KD for window in windows]),
        np.max([window.clip_scores_C for window in windows], 0),
        np.concatenate([window.step_scores_TC for window in windows]),
        np.concatenate(events) if events else None,
    )
