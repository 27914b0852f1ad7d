"""The sizes of a CED encoder; the encoder itself is in `model.ced` and `graphs.ced`."""

from __future__ import annotations

from dataclasses import dataclass

from mellow.encoders.config import FRAME_SECONDS, WINDOW_FRAMES
from mellow.encoders.shapes import Shapes, batch_norm, layer_norm, linear, transformer_block
from mellow.errors import ModelError

__all__ = ["PATCH", "CedConfig"]

PATCH = 16  # mel bins and frames per patch, both ways: one time step is 16 frames = 160 ms


@dataclass(frozen=True)
class CedConfig:
    """Sizes of a CED encoder (Dinkel et al., arXiv 2308.11957); the defaults are those of CED-Tiny's published graph.

    max_steps: learned time positions: 63 steps of 16 frames are 10.08 s.
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_ratio: int = 4
    mel_bins: int = 64
    classes: int = 527
    max_steps = 63

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads, self.mlp_ratio, self.mel_bins, self.classes) < 1:
            raise ModelError(f"CED's sizes must be at least 1, and {self} has a smaller one.")
        if self.width % self.heads or self.mel_bins % PATCH:
            raise ModelError(
                f"CED's width must be a multiple of its heads and its mel bins one of {PATCH}, "
                f"not {self.width} of {self.heads} and {self.mel_bins}."
            )

    @property
    def rows(self) -> int:
        """Frequency patches Q of a step: 4."""
        return self.mel_bins // PATCH

    @property
    def frame_width(self) -> int:
        return self.rows * self.width

    @property
    def latent_width(self) -> int:
        return self.width

    @property
    def seconds_per_step(self) -> float:
        return PATCH * FRAME_SECONDS

    @property
    def steps_per_window(self) -> int:
        """62: 10 s are 1001 frames, the last of which start no patch."""
        return WINDOW_FRAMES // PATCH

    def shapes(self) -> Shapes:
        width, inner = self.width, self.mlp_ratio * self.width
        shapes = {
            **batch_norm("init_bn", self.mel_bins),
            "patch.weight": (width, 1, PATCH, PATCH),
            "patch.bias": (width,),
            "time_position": (1, width, 1, self.max_steps),
            "frequency_position": (1, width, self.rows, 1),
            **layer_norm("norm", width),
            **layer_norm("head_norm", width),
            **linear("head", self.classes, width),
        }
        for i in range(self.depth):
            shapes |= transformer_block(f"blocks.{i}", width, inner)
        return shapes
