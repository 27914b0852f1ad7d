"""CED, the audio encoder of the bundled model: a ViT over log-mel patches (Dinkel et al., arXiv 2308.11957).

Shapes: B clips, F mel frames, M mel bins, T = F // 16 time steps, Q = 4 frequency patches, N = Q * T tokens, W width,
H heads, C classes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mellow.encoders.ced import PATCH, CedConfig
from mellow.model.encoder import EncoderOutput

__all__ = ["Ced"]


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: CedConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.fc1 = nn.Linear(config.width, config.mlp_ratio * config.width)
        self.fc2 = nn.Linear(config.mlp_ratio * config.width, config.width)

    def forward(self, x_BNW: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x_BNW.shape
        qkv = self.qkv(self.norm1(x_BNW)).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each B, H, N, W / H
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x_BNW = x_BNW + self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        x_BNW = x_BNW + self.fc2(functional.gelu(self.fc1(self.norm2(x_BNW))))
        return x_BNW


class Ced(nn.Module):
    """Encodes up to 10.08 s as T steps of 160 ms, each with 4 frequency patches."""

    def __init__(self, config: CedConfig) -> None:
        super().__init__()
        self.config = config
        self.rows = config.rows
        self.init_bn = nn.BatchNorm1d(config.mel_bins, eps=1e-5)
        self.patch = nn.Conv2d(1, config.width, PATCH, PATCH)
        self.time_position = nn.Parameter(torch.zeros(1, config.width, 1, config.max_steps))
        self.frequency_position = nn.Parameter(torch.zeros(1, config.width, self.rows, 1))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head_norm = nn.LayerNorm(config.width, eps=1e-5)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, mel_BFM: torch.Tensor) -> EncoderOutput:
        """Encode log-mels of equal length.

        mel_BFM: float, 16 <= F; frames beyond the 63rd step are not heard (cut clips into windows before).
        """
        mel_BMF = self.init_bn(mel_BFM.transpose(1, 2))
        x = self.patch(mel_BMF[:, None, :, : PATCH * self.config.max_steps])  # B, W, Q, T
        steps = x.shape[-1]
        x = x + self.time_position[..., :steps] + self.frequency_position
        x_BNW = x.flatten(2).transpose(1, 2)  # frequency-major: token = row * T + step
        for block in self.blocks:
            x_BNW = block(x_BNW)
        x_BNW = self.norm(x_BNW)
        x_BQTW = x_BNW.unflatten(1, (self.rows, steps))
        return EncoderOutput(
            frames_BTE=x_BQTW.transpose(1, 2).flatten(2),
            latent_BE=x_BNW.mean(1),
            step_scores_BTC=self.head(self.head_norm(x_BQTW.mean(1))),
            clip_scores_BC=self.head(self.head_norm(x_BNW.mean(1))),
        )
