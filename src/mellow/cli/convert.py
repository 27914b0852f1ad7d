"""`mellow convert`: a published checkpoint into a directory of ours."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["convert"]


class EncoderName(StrEnum):
    """Encoders whose pretrained checkpoints can be converted."""

    HTSAT = "htsat"
    CNN14 = "cnn14"


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A file such as v0.ckpt, v0_s.ckpt or Cnn14_mAP=0.431.pth.")
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="The directory to make.")],
    encoder: Annotated[
        EncoderName | None,
        typer.Option(
            metavar="htsat|cnn14",
            help="The checkpoint holds only this encoder: HTS-AT's AudioSet model, or PANNs' CNN14.",
        ),
    ] = None,
) -> None:
    """Turn a published checkpoint into a model directory, or an encoder's into a directory of the encoder alone.

    For example: mellow convert v0.ckpt v0 && mellow ask --model v0/ dog.wav "caption the audio."
    """
    from mellow.model import convert as converting

    if encoder is not None:
        directory = converting.convert_encoder(checkpoint, out_dir, encoder=encoder.value)
        typer.echo(f"The encoder lies in {directory}.")
        return
    directory = converting.convert(checkpoint, out_dir)
    typer.echo(f"The model lies in {directory}.")
    typer.echo(f'Ask it: mellow ask --model {shlex.quote(f"{directory}/")} CLIP "caption the audio."')
