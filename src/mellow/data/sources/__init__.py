"""Published data sets as captioned clips and records: one module per source with one `read`, everything counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mellow.data.records import CaptionedClip, Record
from mellow.data.sources import (
    audiocaps,
    clotho,
    clotho_aqa,
    difference,
    entailment,
    openaqa,
    reasonaqa,
    table,
    wavcaps,
)

__all__ = ["READERS", "Reader"]

Reader = Callable[..., Iterator[Any]]

# By the `reader` of a SourceSpec; all take the path of a table and the keywords split, audio and report.
READERS: dict[str, Callable[..., Iterator[CaptionedClip] | Iterator[Record] | Iterator[CaptionedClip | Record]]] = {
    "audiocaps": audiocaps.read,
    "clotho": clotho.read,
    "clotho_aqa": clotho_aqa.read,
    "entailment": entailment.read,
    "difference": difference.read,
    "wavcaps": wavcaps.read,
    "reasonaqa": reasonaqa.read,
    "openaqa": openaqa.read,
    "table": table.read,
}
