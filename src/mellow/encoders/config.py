"""What the config class of every encoder offers, and the two facts that they share."""

from __future__ import annotations

from typing import Protocol

from mellow.encoders.shapes import Shapes

__all__ = ["FRAME_SECONDS", "WINDOW_FRAMES", "WINDOW_SECONDS", "EncoderConfig"]

WINDOW_SECONDS = 10.0  # the longest stretch an encoder is given at once
FRAME_SECONDS = 0.01  # from one mel frame to the next, in both front ends
WINDOW_FRAMES = 1 + round(WINDOW_SECONDS / FRAME_SECONDS)


class EncoderConfig(Protocol):
    """Sizes of an encoder: what every config class offers.

    frame_width, latent_width: E of the vectors per step and per clip; seconds_per_step: between steps;
    steps_per_window: T of a full window; shapes: of all tensors, by name, but for the counters of batch norms.
    """

    @property
    def mel_bins(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def frame_width(self) -> int: ...
    @property
    def latent_width(self) -> int: ...
    @property
    def seconds_per_step(self) -> float: ...
    @property
    def steps_per_window(self) -> int: ...
    def shapes(self) -> Shapes: ...
