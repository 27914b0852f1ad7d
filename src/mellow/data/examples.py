"""What the trainer reads: examples or records as JSONL, or the published ReasonAQA JSON, through one function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

from mellow.data.build import read_examples
from mellow.data.records import Record, read_records
from mellow.data.sources import reasonaqa
from mellow.data.sources.audio import AudioRoot
from mellow.errors import DataError
from mellow.types import Example

__all__ = ["read_training_examples"]

LOOKED_AT = 100  # first lines by which records are told from examples
OF_RECORDS = {"id", *(field.name for field in fields(Record))} - {field.name for field in fields(Example)}


def read_training_examples(path: str | Path, *, audio_root: str | Path | None = None) -> Iterator[Example]:
    """The examples of a file, one by one: `.json` is the published format, JSONL holds examples or records.

    audio_root: the folder with the clips, in any subfolders. Clips are looked for by path, then by name; the path of
    one that is absent stays as it is. Without it, paths are as they stand in the file.
    Raises DataError where the file is broken, naming the line, or where the published format comes without audio_root.
    """
    path = Path(path)
    if path.suffix == ".json" and audio_root is None:
        raise DataError(f"{path} is published JSON, whose clips lie elsewhere; name their folder as data.audio_root.")
    audio = AudioRoot(audio_root) if audio_root is not None else None
    if path.suffix == ".json":
        split = next((one for one in ("val", "test") if one in path.stem), "train")
        examples = (record.to_example() for record in reasonaqa.read(path, split=split, audio=audio))  # type: ignore[arg-type]
    elif _holds_records(path):
        examples = (record.to_example() for record in read_records(path))
    else:
        yield from read_examples(path)
        return
    for example in examples:
        yield example if audio is None else _found(example, audio)


def _found(example: Example, audio: AudioRoot) -> Example:
    paths = tuple(audio.find(name) or name for name in example.audio)
    return replace(example, audio=paths, group="|".join(paths))


def _holds_records(path: Path) -> bool:
    """Whether one of the first lines has a field that only records have; broken lines are told by whoever reads on."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in islice(lines, LOOKED_AT):
                row = json.loads(line) if line.strip() else None
                if isinstance(row, dict) and OF_RECORDS.intersection(row):
                    return True
    except (OSError, ValueError, RecursionError):
        return False
    return False
