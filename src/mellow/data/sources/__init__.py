"""Published data sets as captioned clips and records: one module per source with one `read`, everything counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
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

Reader = Callable[..., Iterator[CaptionedClip] | Iterator[Record] | Iterator[CaptionedClip | Record]]


def _parquet(path: str | Path, **options: Any) -> Iterator[CaptionedClip | Record]:
    from mellow.data.sources.parquet import read  # pyarrow is an extra

    return read(path, **options)


# By the `reader` of a SourceSpec; all take the path of a table and the keywords split, audio and report, and each the
# others that its `read` names.
READERS: dict[str, Reader] = {
    "audiocaps": audiocaps.read,
    "clotho": clotho.read,
    "clotho_aqa": clotho_aqa.read,
    "entailment": entailment.read,
    "difference": difference.read,
    "wavcaps": wavcaps.read,
    "reasonaqa": reasonaqa.read,
    "openaqa": openaqa.read,
    "table": table.read,
    "parquet": _parquet,
}
