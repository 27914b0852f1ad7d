"""HTSAT, the published model's audio encoder: Swin over a folded log-mel spectrogram (Chen et al., arXiv 2202.00874).

Shapes: B clips, F mel frames, M mel bins, I side of the image, G side of the token grid, W width of the last stage,
R frequency rows and T time steps of the last grid unfolded, C classes. Published: M 64, I 256, R 2, T 32, C 527.
The regularisation of its training (SpecAugment, drop-path) is left out: the encoder says the same in both modes, but
for the batch statistics of `bn0`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mellow.encoders.htsat import HtsatConfig
from mellow.errors import AudioError
from mellow.model.encoder import EncoderOutput
from mellow.model.swin import SwinStage

__all__ = ["Htsat", "fold", "stretch", "unfold"]


def stretch(mel_BFM: torch.Tensor, frames: int) -> torch.Tensor:
    """Stretch time to `frames` mel frames by bicubic interpolation, first and last frame in place: (B, frames, M)."""
    if mel_BFM.shape[1] == frames:
        return mel_BFM
    size = (frames, mel_BFM.shape[2])
    mel_B1FM = functional.interpolate(mel_BFM[:, None], size, mode="bicubic", align_corners=True)
    return mel_B1FM[:, 0]


def fold(mel_BFM: torch.Tensor, chunks: int) -> torch.Tensor:
    """Stack chunks of time along frequency: (B, F, M) -> (B, chunks * M, F / chunks), the first chunk on top."""
    batch, frames, bins = mel_BFM.shape
    chunks_BCFM = mel_BFM.reshape(batch, chunks, frames // chunks, bins)  # B, chunk, F / chunks, M
    return chunks_BCFM.transpose(2, 3).flatten(1, 2)  # B, (chunk, M), F / chunks


def unfold(x_BGGW: torch.Tensor, chunks: int) -> torch.Tensor:
    """Put the chunks of a token grid side by side again: (B, G, G, W) -> (B, W, R, T)."""
    batch, grid, _, width = x_BGGW.shape
    x = x_BGGW.reshape(batch, chunks, grid // chunks, grid, width)  # B, chunk, R, G, W
    return x.permute(0, 4, 2, 1, 3).flatten(3)  # B, W, R, (chunk, G)


class Htsat(nn.Module):
    """Encodes 10.24 s (1024 frames of 10 ms) as 32 steps; the published mapper takes their class probabilities."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.bn0 = nn.BatchNorm1d(config.mel_bins)
        self.patch = nn.Conv2d(1, config.width, config.patch, config.patch)
        self.patch_norm = nn.LayerNorm(config.width)
        last = len(config.depths) - 1
        self.stages = nn.ModuleList(
            SwinStage(width, depth, heads, grid=grid, window=config.window, mlp_ratio=config.mlp_ratio, merge=i < last)
            for i, (width, depth, heads, grid) in enumerate(
                zip(config.widths, config.depths, config.heads, config.grids, strict=True)
            )
        )
        self.norm = nn.LayerNorm(config.widths[-1])
        self.scores = nn.Conv2d(config.widths[-1], config.classes, (config.rows, 3), padding=(0, 1))

    def forward(self, mel_BFM: torch.Tensor) -> EncoderOutput:
        """Encode log-mels of equal length.

        mel_BFM: float; fewer than 1024 frames are stretched to 1024, as published, so pad clips to 10 s (1001 frames).
        Returns `EncoderOutput` whose frames_BTE are the sigmoid of step_scores_BTC, and whose clip scores are
        their mean over time.
        Raises AudioError for more than 1024 frames.
        """
        frames = mel_BFM.shape[1]
        if frames > self.config.frames:
            raise AudioError(
                f"HTSAT takes {self.config.frames} mel frames and the clip has {frames}; cut it into windows of 10 s."
            )
        mel_BFM = self.bn0(mel_BFM.transpose(1, 2)).transpose(1, 2)
        image_BII = fold(stretch(mel_BFM, self.config.frames), self.config.chunks)
        x_BGGW = self.patch_norm(self.patch(image_BII[:, None]).permute(0, 2, 3, 1))  # from B, W, G, G
        for stage in self.stages:
            x_BGGW = stage(x_BGGW)
        x_BWRT = unfold(self.norm(x_BGGW), self.config.chunks)
        step_scores_BTC = self.scores(x_BWRT)[:, :, 0].transpose(1, 2)  # from B, C, 1, T
        return EncoderOutput(
            frames_BTE=step_scores_BTC.sigmoid(),
            latent_BE=x_BWRT.mean((2, 3)),
            step_scores_BTC=step_scores_BTC,
            clip_scores_BC=step_scores_BTC.mean(1),
        )
