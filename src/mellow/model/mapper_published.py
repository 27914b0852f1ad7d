"""The published mapper from an encoder's output to audio tokens of the language model (Mellow v0).

Shapes: B clips, T steps, C width of the encoder's frames, E width of its latent, D width of the language model,
K = 1 + T * copies audio tokens. Published: T 32, C 527, E 768, D 576, K 129.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mellow.model.encoder import EncoderOutput

__all__ = ["PublishedMapper"]


class PublishedMapper(nn.Module):
    """Frames to the latent's width, the latent in front, a residual two-layer projection, each frame row repeated.

    Only 1 + T of v0's 1025 rows differ, so these are computed and copied. In training this means one dropout mask per
    step, where the original drew one per row and averaged eight.

    frame_width, latent_width: those of the encoder; width: D of the language model; the defaults are v0's.
    copies: tokens per time step. v0 repeats each step 32 times and then averages 8 rows, which leaves 4 copies.
    dropout: in training, inside the projection.
    """

    def __init__(
        self,
        *,
        frame_width: int = 527,
        latent_width: int = 768,
        width: int = 576,
        copies: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.copies = copies
        self.class_to_latent = nn.Linear(frame_width, latent_width)
        self.linear1 = nn.Linear(latent_width, width, bias=False)
        self.linear2 = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, encoded: EncoderOutput) -> torch.Tensor:
        """Return audio_BKD: the latent's token, then `copies` equal tokens for each time step."""
        frames_BTE = self.class_to_latent(encoded.frames_BTE)
        x_BRE = torch.cat([encoded.latent_BE[:, None], frames_BTE], dim=1)  # R = 1 + T rows
        first_BRD = self.linear1(x_BRE)
        second_BRD = self.dropout(self.linear2(functional.gelu(first_BRD)))
        rows_BRD = self.norm(first_BRD + second_BRD)
        copies_BKD = rows_BRD[:, 1:].repeat_interleave(self.copies, dim=1)
        return torch.cat([rows_BRD[:, :1], copies_BKD], dim=1)
