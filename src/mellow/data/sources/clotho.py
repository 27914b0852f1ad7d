"""Clotho v2.1: clips of 15 to 30 s from Freesound, with five captions each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mellow.data.records import CaptionedClip, Split
from mellow.data.sources.audio import AudioRoot, clip_path
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.published import audio_path
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.data.sources.text_file import UTF8, Unique

__all__ = ["read"]

CAPTIONS = ("caption_1", "caption_2", "caption_3", "caption_4", "caption_5")


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
) -> Iterator[CaptionedClip]:
    """The clips of `clotho_captions_development.csv`, `..._validation.csv` or `..._evaluation.csv`, one a row."""
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    licence = spec("clotho").licence
    unique = Unique(path, "file_name")
    for line, _, row in csv_rows(path, ("file_name", *CAPTIONS), encoding=encoding):
        report.rows += 1
        unique.check(row["file_name"], line)
        captions = tuple(row[name] for name in CAPTIONS if row[name].strip())
        if not captions or not row["file_name"].strip():
            report.left_out["no caption" if row["file_name"].strip() else "no clip named"] += 1
            continue
        if len(captions) < len(CAPTIONS):
            report.noted["fewer than five captions"] += 1
        name = clip_path(row["file_name"], where=f"{path}, line {line}")
        clip = CaptionedClip(audio_path("clotho", split, name), captions, "clotho", split, licence)
        yield from deliver(clip, audio, report)
