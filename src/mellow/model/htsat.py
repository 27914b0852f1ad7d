"""HTSAT, the published model's audio encoder: Swin over a folded log-mel spectrogram (Chen et al., arXiv 2202.00874).

Shapes: B clips, F mel frames, M mel bins, I side of the image, G side of the token grid, W width of the last stage,
R frequency rows and T time steps of the last grid unfolded, C classes. Published: M 64, I 256, R 2, T 32, C 527.
The regularisation of its training (SpecAugment, drop-path) is left out: the encoder says the same in both modes, but
for the batch statistics of `bn0`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mellow.errors import AudioError, ModelError
from mellow.model.encoder import Encoded
from mellow.model.swin import SwinStage

__all__ = ["Htsat", "HtsatConfig", "fold", "stretch", "unfold"]


@dataclass(frozen=True)
class HtsatConfig:
    """Sizes of an HTSAT encoder; the defaults are those of the published Mellow v0 and of HTS-AT's AudioSet model.

    mel_bins: of the log-mel.
    chunks: pieces of time that are stacked along frequency to make a square image.
    patch: side of a patch, in bins and frames.
    width: of the first stage; it doubles from stage to stage.
    depths, heads: blocks and attention heads of each stage.
    window: side of an attention window, in tokens.
    """

    mel_bins: int = 64
    chunks: int = 4
    patch: int = 4
    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 8
    mlp_ratio: int = 4
    classes: int = 527

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))  # JSON configs bring lists
        object.__setattr__(self, "heads", tuple(self.heads))
        if not self.depths or len(self.depths) != len(self.heads):
            raise ModelError(f"HTSAT wants depths and heads of equal length, not {self.depths} and {self.heads}.")
        if any(width % heads for width, heads in zip(self.widths, self.heads, strict=True)):
            raise ModelError(f"HTSAT's widths {self.widths} have to be multiples of its heads {self.heads}.")
        if self.image % (self.patch << (len(self.depths) - 1)) or self.grids[-1] % self.chunks:
            raise ModelError(
                f"HTSAT cannot cut an image of {self.image} into patches of {self.patch}, merge them "
                f"{len(self.depths) - 1} times and part the last grid of {self.grids[-1]} in {self.chunks} chunks."
            )
        if any(grid % min(self.window, grid) for grid in self.grids):
            raise ModelError(f"HTSAT's grids {self.grids} have to be multiples of its window {self.window}.")

    @property
    def image(self) -> int:
        """Side of the folded image I, in bins and frames."""
        return self.mel_bins * self.chunks

    @property
    def frames(self) -> int:
        """Mel frames that fill the image: 1024."""
        return self.image * self.chunks

    @property
    def grids(self) -> tuple[int, ...]:
        """Side of the token grid of each stage: 64, 32, 16, 8."""
        return tuple(self.image // self.patch >> stage for stage in range(len(self.depths)))

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each stage: 96, 192, 384, 768."""
        return tuple(self.width << stage for stage in range(len(self.depths)))

    @property
    def rows(self) -> int:
        """Frequency rows R of the last grid: 2."""
        return self.grids[-1] // self.chunks

    @property
    def steps(self) -> int:
        """Time steps T of the last grid: 32."""
        return self.grids[-1] * self.chunks


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
    """Hears 10.24 s (1024 frames of 10 ms) as 32 steps; what the published mapper takes from them are class chances."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_width = config.classes
        self.latent_width = config.widths[-1]
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

    def forward(self, mel_BFM: torch.Tensor) -> Encoded:
        """Encode log-mels of equal length.

        mel_BFM: float; fewer than 1024 frames are stretched to 1024, as published, so pad clips to 10 s (1001 frames).
        Returns `Encoded` with frames_BTE the sigmoid of step_scores_BTC, and clip scores that are their mean over time.
        Raises AudioError for more than 1024 frames.
        """
        frames = mel_BFM.shape[1]
        if frames > self.config.frames:
            raise AudioError(
                f"HTSAT hears {self.config.frames} mel frames and the clip has {frames}; cut it into windows of 10 s."
            )
        mel_BFM = self.bn0(mel_BFM.transpose(1, 2)).transpose(1, 2)
        image_BII = fold(stretch(mel_BFM, self.config.frames), self.config.chunks)
        x_BGGW = self.patch_norm(self.patch(image_BII[:, None]).permute(0, 2, 3, 1))  # from B, W, G, G
        for stage in self.stages:
            x_BGGW = stage(x_BGGW)
        x_BWRT = unfold(self.norm(x_BGGW), self.config.chunks)
        step_scores_BTC = self.scores(x_BWRT)[:, :, 0].transpose(1, 2)  # from B, C, 1, T
        return Encoded(
            frames_BTE=step_scores_BTC.sigmoid(),
            latent_BE=x_BWRT.mean((2, 3)),
            step_scores_BTC=step_scores_BTC,
            clip_scores_BC=step_scores_BTC.mean(1),
        )
