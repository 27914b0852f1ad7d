"""`mellow data show`: what data sets say about one clip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mellow.cli.console import Quiet, say, show_logs

if TYPE_CHECKING:
    from mellow.data.records import Record

__all__ = ["show"]


def show(
    clip: Annotated[
        str, typer.Argument(metavar="CLIP", help="Name of the clip's file; directory and ending may be left out.")
    ],
    data: Annotated[
        list[Path], typer.Option(metavar="PATH", help="A data set to look in; may be given several times.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON lines.")] = False,
    quiet: Quiet = False,
) -> None:
    """Show a clip's captions, and its questions and answers by kind and type."""
    from mellow.data.show import pairs_of

    show_logs(quiet=quiet)
    found = pairs_of(clip, _records(data))
    if as_json:
        for type_, _, records in found.ordered():
            for record in records:
                say(json.dumps({"type": type_, **record.to_dict()}, ensure_ascii=False))
        return
    for caption in found.captions:
        say(f"Caption: {caption}")
    for type_, kind, records in found.ordered():
        say(f"\n{' '.join(filter(None, (kind, type_)))}")
        for record in records:
            if len(record.audio) > 1 and record.captions:
                say(f"  Captions: {' / '.join(record.captions)}")
            say(f"  Question: {record.question}\n  Answer: {record.answer}")


def _records(paths: list[Path]) -> Iterator[tuple[str, Record]]:
    from mellow.data.audit_input import read_any

    for path in paths:
        for record in read_any(path):
            yield path.stem if len(paths) > 1 else "", record
