"""The event head: which named sounds occur at each step of a clip."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["EventHead"]


class EventHead(nn.Module):
    """Logits (B, T, S) of S sounds at each encoder step, from the encoder's frames (B, T, E)."""

    def __init__(self, *, frame_width: int, width: int, sounds: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(frame_width, width)
        self.linear2 = nn.Linear(width, sounds)

    def forward(self, frames_BTE: torch.Tensor) -> torch.Tensor:
        scores_BTS: torch.Tensor = self.linear2(functional.gelu(self.linear1(frames_BTE)))
        return scores_BTS
