"""`mellow convert`: a published checkpoint into a model directory."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import say

__all__ = ["convert"]


class EncoderName(StrEnum):
    """Encoders whose pretrained checkpoints can be converted."""

    HTSAT = "htsat"
    CNN14 = "cnn14"


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A published file: v0.ckpt, v0_s.ckpt, Cnn14_mAP=0.431.pth, ..."),
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Output directory; must not exist yet.")],
    encoder: Annotated[
        EncoderName | None,
        typer.Option(
            metavar="htsat|cnn14",
            help="Convert only an encoder checkpoint: HTS-AT trained on AudioSet, or CNN14 of PANNs.",
        ),
    ] = None,
) -> None:
    """Convert a published checkpoint to a model directory.

    For example: mellow convert v0.ckpt v0 && mellow ask --model v0/ dog.wav "caption the audio."
    """
    from mellow.importers import convert as converting

    if encoder is not None:
        directory = converting.convert_encoder(checkpoint, out_dir, encoder=encoder.value)
        say(f"Wrote the encoder to {directory}.")
        return
    directory = converting.convert(checkpoint, out_dir)
    say(f"Wrote the model to {directory}.")
    say(f'Try it: mellow ask --model {shlex.quote(f"{directory}/")} CLIP "caption the audio."')
