"""The compact projection: encoder outputs into the embedding space of the language model."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mellow.model.encoder import EncoderOutput

__all__ = ["CompactMapper", "pool_steps"]


class CompactMapper(nn.Module):
    """About 31 audio tokens per 10 s: pooled frames through two linear layers, plus class names weighted by
    probability.

    `class_words` starts as the mean input embedding of each class's name, so that untrained tokens already are words
    which the language model knows; the other branch starts at zero.

    frame_width: E of the encoder; classes: C; width: D of the language model; frames_per_row: steps averaged per row.
    """

    def __init__(self, *, frame_width: int, classes: int, width: int, frames_per_row: int) -> None:
        super().__init__()
        self.frames_per_row = frames_per_row
        self.norm = nn.LayerNorm(frame_width)
        self.linear1 = nn.Linear(frame_width, width)
        self.linear2 = nn.Linear(width, width)
        self.class_words = nn.Linear(classes, width, bias=False)
        nn.init.zeros_(self.linear2.weight)
        nn.init.zeros_(self.linear2.bias)

    def forward(self, encoded: EncoderOutput) -> torch.Tensor:
        """Return audio tokens (B, K, D) with K = ceil(T / frames_per_row)."""
        pool = self.frames_per_row
        return self.tokens(pool_steps(encoded.frames_BTE, pool), pool_steps(encoded.step_scores_BTC.sigmoid(), pool))

    def tokens(self, frames_KE: torch.Tensor, scores_KC: torch.Tensor) -> torch.Tensor:
        """Audio tokens (..., K, D) of pooled frames and pooled class probabilities (cached in training)."""
        heard_KD: torch.Tensor = self.linear2(functional.gelu(self.linear1(self.norm(frames_KE))))
        words_KD: torch.Tensor = self.class_words(scores_KC)
        return words_KD + heard_KD


def pool_steps(x_BTE: torch.Tensor, frames_per_row: int) -> torch.Tensor:
    """Average each `frames_per_row` steps: (B, T, E) -> (B, K, E); a short last group repeats its last step."""
    spare = -x_BTE.shape[1] % frames_per_row
    if spare:
        x_BTE = torch.cat([x_BTE, x_BTE[:, -1:].expand(-1, spare, -1)], dim=1)
    batch, steps, width = x_BTE.shape
    return x_BTE.reshape(batch, steps // frames_per_row, frames_per_row, width).mean(2)
