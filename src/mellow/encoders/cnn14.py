"""The sizes of a CNN14 encoder; the encoder itself is in `model.cnn14` and `graphs.cnn14`."""

from __future__ import annotations

from dataclasses import dataclass

from mellow.encoders.config import FRAME_SECONDS, WINDOW_FRAMES
from mellow.encoders.shapes import Shapes, batch_norm, linear
from mellow.errors import ModelError

__all__ = ["Cnn14Config"]


@dataclass(frozen=True)
class Cnn14Config:
    """Sizes of a CNN14 encoder; the defaults are those of PANNs' `Cnn14_mAP=0.431.pth`.

    widths: channels of each block; every block but the last halves time and frequency.
    """

    mel_bins: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    classes: int = 527

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON configs bring lists
        if not self.widths or self.mel_bins < self.hop:
            raise ModelError(
                f"CNN14 cannot halve {self.mel_bins} mel bins in all but the last of {len(self.widths)} blocks."
            )

    @property
    def hop(self) -> int:
        """Mel frames per time step: 32, that is 320 ms."""
        return 1 << (len(self.widths) - 1)

    @property
    def frame_width(self) -> int:
        return self.widths[-1]

    @property
    def latent_width(self) -> int:
        return self.widths[-1]

    @property
    def seconds_per_step(self) -> float:
        return self.hop * FRAME_SECONDS

    @property
    def steps_per_window(self) -> int:
        """31: frames behind the last whole step are not heard."""
        return WINDOW_FRAMES // self.hop

    def shapes(self) -> Shapes:
        width = self.widths[-1]
        shapes = {
            **batch_norm("bn0", self.mel_bins),
            **linear("fc1", width, width),
            **linear("scores", self.classes, width),
        }
        for i, (width_in, width_out) in enumerate(zip((1, *self.widths), self.widths, strict=False)):
            for n, channels in ((1, width_in), (2, width_out)):
                shapes[f"blocks.{i}.conv{n}.weight"] = (width_out, channels, 3, 3)
                shapes |= batch_norm(f"blocks.{i}.bn{n}", width_out)
        return shapes
