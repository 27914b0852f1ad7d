"""The sizes of an HTSAT encoder; the encoder itself is in `model.htsat` and `graphs.htsat`."""

from __future__ import annotations

from dataclasses import dataclass

from mellow.encoders.config import WINDOW_SECONDS
from mellow.encoders.shapes import Shapes, batch_norm, layer_norm, transformer_block
from mellow.errors import ModelError

__all__ = ["HtsatConfig"]


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
    def frame_width(self) -> int:
        """The published mapper takes class probabilities."""
        return self.classes

    @property
    def latent_width(self) -> int:
        return self.widths[-1]

    @property
    def seconds_per_step(self) -> float:
        """312.5 ms: every window is padded to 10 s and stretched to the image's width."""
        return WINDOW_SECONDS / self.steps_per_window

    @property
    def steps_per_window(self) -> int:
        """Time steps T of the last grid: 32."""
        return self.grids[-1] * self.chunks

    def shapes(self) -> Shapes:
        last = len(self.depths) - 1
        shapes = {
            **batch_norm("bn0", self.mel_bins),
            "patch.weight": (self.width, 1, self.patch, self.patch),
            "patch.bias": (self.width,),
            **layer_norm("patch_norm", self.width),
            **layer_norm("norm", self.widths[-1]),
            "scores.weight": (self.classes, self.widths[-1], self.rows, 3),
            "scores.bias": (self.classes,),
        }
        for stage, (width, depth, heads, grid) in enumerate(
            zip(self.widths, self.depths, self.heads, self.grids, strict=True)
        ):
            distances = (2 * min(self.window, grid) - 1) ** 2
            for i in range(depth):
                block = f"stages.{stage}.blocks.{i}"
                shapes |= transformer_block(block, width, self.mlp_ratio * width)
                shapes[f"{block}.position_bias"] = (distances, heads)
            if stage < last:
                shapes |= layer_norm(f"stages.{stage}.merge.norm", 4 * width)
                shapes[f"stages.{stage}.merge.reduction.weight"] = (2 * width, 4 * width)
        return shapes
