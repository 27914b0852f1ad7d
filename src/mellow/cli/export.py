"""`mellow export`: a model as ONNX graphs that run without torch, verified against the model itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import mellow
from mellow.cli.console import Quiet, say, show_logs

if TYPE_CHECKING:
    from rich.table import Table

    from mellow.export.verify import Comparison

__all__ = ["export"]

BROKEN = 1  # exit code
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class PrecisionName(StrEnum):
    """Precisions of the weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="mini, v0, v0_s, a published .ckpt, or a model directory.")
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Output directory; must not exist yet.")],
    precision: Annotated[
        PrecisionName,
        typer.Option(
            metavar="fp32|fp16|int8|int4",
            help="Precision of the weights; the encoder and sensitive layers keep a higher one.",
        ),
    ] = PrecisionName.INT8,
    clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Audio files to compare the graphs and the model on; by default those in examples/."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Export a model to ONNX graphs, and compare their logits, answers and choices with the model's.

    The exit code is 1 if the difference exceeds what the precision allows.

    For example: mellow export mini graphs --precision int8
    """
    from rich.console import Console

    from mellow.answer.load import load as load_model
    from mellow.answer.load import model_directory
    from mellow.export import verify
    from mellow.export.export import export as write

    show_logs(quiet=quiet)
    recordings = _recordings(clips)
    loaded = load_model(model, engine="torch", device="cpu")
    write(model_directory(model), out_dir, precision=precision)
    found = verify.compare(loaded, out_dir, recordings)
    Console().print(_table(out_dir, precision, found))
    broken = found.breaks(verify.BOUNDS[precision])
    if broken:
        typer.echo(f"Error: The graphs in {out_dir} differ too much from the model: {'; '.join(broken)}.", err=True)
        raise typer.Exit(BROKEN)
    say(f"Wrote the graphs to {out_dir}.")


def _recordings(folder: Path | None) -> list[Path]:
    """The recordings of a folder, by default the examples of a checkout."""
    from mellow.errors import ModelError

    place = folder or Path(mellow.__file__).resolve().parents[2] / "examples"
    found = sorted(path for path in place.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ModelError(
            f"There are no audio files in {place} to compare the graphs on; give a directory with --clips."
        )
    return found


def _table(out_dir: Path, precision: str, found: Comparison) -> Table:
    from rich.table import Table

    from mellow.export import verify

    bound = verify.BOUNDS[precision]
    memory = verify.peak_megabytes(out_dir)
    table = Table(title=f"{out_dir}, {precision}, against the torch engine in float32", title_justify="left")
    for name in ("", "found", "bound"):
        table.add_column(name, justify="left" if not name else "right")
    table.add_row("largest logit error", f"{found.logit_error:.2g}", f"{bound.logits:g}")
    table.add_row(f"equal greedy tokens, of {found.tokens}", f"{found.equal_tokens:.1%}", "")
    table.add_row(f"of the clear ones, {found.clear}", f"{found.equal_clear:.1%}", f"{bound.tokens:.1%}")
    table.add_row(f"equal choices, of {found.choices}", f"{found.equal_choices:.1%}", f"{bound.choices:.1%}")
    table.add_row("size", f"{verify.size_megabytes(out_dir):.0f} MB", "")
    table.add_row("peak memory", "-" if memory is None else f"{memory:.0f} MB", "")
    return table
