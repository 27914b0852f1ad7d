"""Hugging Face data sets as Parquet, whose Audio column holds the clips themselves; needs the extra `parquet`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from mellow.data.records import CaptionedClip, Record, Split
from mellow.data.sources.audio import AudioRoot, clip_key
from mellow.data.sources.columns import Columns, to_item
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.text_file import Unique
from mellow.errors import DataError
from mellow.files import partial_path

__all__ = ["read"]

BATCH = 32  # rows in memory at once; a row may hold minutes of audio
KINDS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"ID3": "mp3", b"\xff\xfb": "mp3", b"FORM": "aiff"}


def read(
    path: str | Path,
    *,
    columns: Columns,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    audio_dir: str | Path | None = None,
) -> Iterator[CaptionedClip | Record]:
    """Captioned clips, or records where the columns name a question, of a Parquet file or a folder of them.

    Audio columns may hold paths, or `{bytes, path}` as the library `datasets` writes them. A clip's bytes are written
    to `audio_dir` when its row is yielded, as `NAME-HASH.wav`, once for equal clips; without `audio_dir` nothing is
    written and clips bear the same names.
    """
    report = report if report is not None else SourceReport()
    for file in _shards(Path(path)):
        unique = Unique(file, columns.id)
        for number, row in enumerate(_rows(file, columns), start=1):
            report.rows += 1
            where = f"{file}, row {number}"
            if columns.id:
                unique.check(str(row[columns.id]), number)
            inside = _take_audio(row, columns, where, audio_dir)
            provenance: dict[str, str | int] = {"file": file.name, "row": number}
            item = to_item(row, columns, split=split or "train", where=where, provenance=provenance, report=report)
            if item is not None:
                report.present.update(inside)
                root = None if inside else audio
                yield from deliver(item, root, report)


def _shards(path: Path) -> list[Path]:
    shards = sorted(path.glob("**/*.parquet")) if path.is_dir() else [path]
    if not shards:
        raise DataError(f"The folder {path} holds no .parquet files.")
    return shards


def _rows(path: Path, columns: Columns) -> Iterator[dict[str, Any]]:
    """The rows of a file, with the needed columns only."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            missing = next((name for name in columns.names if name not in file.schema_arrow.names), None)
            if missing is not None:
                found = ", ".join(map(repr, file.schema_arrow.names))
                raise DataError(f"{path}: the column {missing!r} is missing; found {found}.")
            for batch in file.iter_batches(BATCH, columns=list(dict.fromkeys(columns.names))):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path} cannot be read as Parquet ({reason}).") from None


def _take_audio(row: dict[str, Any], columns: Columns, where: str, audio_dir: str | Path | None) -> list[str]:
    """Put names in the place of clips, and return the names of those whose bytes the row holds."""
    inside = []
    for column in columns.audio:
        value = row[column]
        if value is None or isinstance(value, str):
            continue
        if not isinstance(value, dict) or not {"bytes", "path"} & set(value):
            raise DataError(f"{where}: the column {column!r} holds neither a path nor a clip.")
        content, name = value.get("bytes"), value.get("path") or ""
        if content:
            name = _name(content, name)
            inside.append(name)
            if audio_dir is not None:
                _write(Path(audio_dir) / name, content)
        row[column] = name
    return inside


def _name(content: bytes, name: str) -> str:
    kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), "")
    kind = kind or Path(name).suffix.lstrip(".") or "audio"
    stem = "".join(c if c.isalnum() or c in " ._-" else "_" for c in clip_key(name)) or "clip"
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.{kind}"


def _write(path: Path, content: bytes) -> None:
    """The clip as a file, whole or not at all."""
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_path(path)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"The clip {path} cannot be written ({error.strerror or error}).") from None
