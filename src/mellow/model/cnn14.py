"""CNN14, the encoder of an ablation: six convolution blocks over a log-mel (Kong et al., PANNs, arXiv 1912.10211).

Shapes: B clips, F mel frames, M mel bins, W width of the last block, T = F // 32 time steps, C classes.
The dropout of its training is left out: the encoder says the same in both modes, but for batch statistics.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mellow.encoders.cnn14 import Cnn14Config
from mellow.errors import AudioError
from mellow.model.encoder import EncoderOutput

__all__ = ["Cnn14"]


class ConvBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, then an average over 2 x 2 (1 x 1 in the last block)."""

    def __init__(self, width_in: int, width: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, channels, frames, bins)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.avg_pool2d(x, self.pool) if self.pool > 1 else x


class Cnn14(nn.Module):
    """Encodes clips of any length as steps of 320 ms.

    Clip scores are those of PANNs' Cnn14. Steps are made as in its decision-level variants (`Cnn14_DecisionLevelMax`):
    features smoothed over three steps, then the same two layers as for the clip.
    """

    def __init__(self, config: Cnn14Config) -> None:
        super().__init__()
        self.config = config
        width = config.widths[-1]
        self.bn0 = nn.BatchNorm1d(config.mel_bins)
        last = len(config.widths) - 1
        self.blocks = nn.ModuleList(
            ConvBlock(width_in, width_out, pool=2 if i < last else 1)
            for i, (width_in, width_out) in enumerate(zip((1, *config.widths), config.widths, strict=False))
        )
        self.fc1 = nn.Linear(width, width)
        self.scores = nn.Linear(width, config.classes)

    def forward(self, mel_BFM: torch.Tensor) -> EncoderOutput:
        """Encode log-mels of equal length.

        mel_BFM: float, from 32 frames (0.32 s) up; frames after the last whole step are not heard.
        Raises AudioError for fewer frames.
        """
        frames = mel_BFM.shape[1]
        if frames < self.config.hop:
            raise AudioError(
                f"CNN14 wants at least {self.config.hop} mel frames and the clip has {frames}; pad it with silence."
            )
        x = self.bn0(mel_BFM.transpose(1, 2)).transpose(1, 2)[:, None]  # B, 1, F, M
        for block in self.blocks:
            x = block(x)
        x_BWT = x.mean(3)  # from B, W, T, M / 32
        smooth_BWT = functional.max_pool1d(x_BWT, 3, 1, 1) + functional.avg_pool1d(x_BWT, 3, 1, 1)
        frames_BTE = functional.relu(self.fc1(smooth_BWT.transpose(1, 2)))
        latent_BE = functional.relu(self.fc1(x_BWT.amax(2) + x_BWT.mean(2)))
        return EncoderOutput(
            frames_BTE=frames_BTE,
            latent_BE=latent_BE,
            step_scores_BTC=self.scores(frames_BTE),
            clip_scores_BC=self.scores(latent_BE),
        )
