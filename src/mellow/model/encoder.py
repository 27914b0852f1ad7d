"""The small interface that all audio encoders share."""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["EncoderOutput"]


class EncoderOutput(NamedTuple):
    """The output of an encoder for a batch of windows (B clips, T steps, E width, C classes).

    frames_BTE: one vector per time step, for the mapper.
    latent_BE: one vector per clip (width may differ from that of the frames).
    step_scores_BTC: class logits per time step, before the sigmoid.
    clip_scores_BC: class logits per clip, before the sigmoid.
    """

    frames_BTE: torch.Tensor
    latent_BE: torch.Tensor
    step_scores_BTC: torch.Tensor
    clip_scores_BC: torch.Tensor
