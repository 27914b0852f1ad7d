"""Encoding clips with any engine: windows are joined and audio tags written, here and nowhere else for asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mellow.engines.interface import Engine
from mellow.processor import join_windows
from mellow.text.prompt import ClipTokens
from mellow.text.tags import AudioTags
from mellow.types import Encoded

__all__ = ["EncodedClip", "encode_clip"]


@dataclass(frozen=True, eq=False)
class EncodedClip:
    """A clip, or a stretch of one, as the language model gets it. tags: token ids that follow the audio tokens."""

    encoded: Encoded
    tags: Sequence[int] = ()

    @property
    def audio_KD(self) -> np.ndarray:
        return self.encoded.audio_KD

    @property
    def tokens(self) -> ClipTokens:
        """Its tokens in the prompt."""
        return ClipTokens(len(self.audio_KD), self.tags)


def encode_clip(engine: Engine, windows: Sequence[np.ndarray], tags: AudioTags | None) -> EncodedClip:
    """Encode the log-mel windows (F, M) of one clip, in order, and write its tags."""
    encoded = join_windows([engine.encode(mel_FM) for mel_FM in windows])
    if tags is None:
        return EncodedClip(encoded)
    ids = tags.ids(encoded.clip_scores_C, encoded.step_scores_TC, encoded.event_scores_TE)
    return EncodedClip(encoded, ids)
