"""AudioCaps 1.0 and 2.0: clips of 10 s from YouTube, with one caption in train and five in val and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mellow.data.records import CaptionedClip, Split
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.published import audio_path
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.data.sources.text_file import UTF8, Unique

__all__ = ["read"]

COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
SECONDS = 10.0


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
    captions_per_clip: int | None = None,
) -> Iterator[CaptionedClip]:
    """The clips of `train.csv`, `val.csv` or `test.csv` in the order of their first captions.

    captions_per_clip: further captions are left out and counted; the paper takes one in val and five in test.
    The captions of a clip stand apart, so the table, of some 10 MB, is held in memory.
    """
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    licence = spec("audiocaps").licence
    captions: dict[str, list[str]] = {}
    unique = Unique(path, "audiocap_id")
    for line, _, row in csv_rows(path, COLUMNS, encoding=encoding):
        report.rows += 1
        unique.check(row["audiocap_id"], line)
        if not row["youtube_id"].strip() or not row["caption"].strip():
            report.left_out["empty caption" if row["youtube_id"].strip() else "no clip named"] += 1
            continue
        of_clip = captions.setdefault(row["youtube_id"], [])
        if captions_per_clip is not None and len(of_clip) >= captions_per_clip:
            report.left_out["caption beyond captions_per_clip"] += 1
            continue
        of_clip.append(row["caption"])
    for clip, texts in captions.items():
        name = audio_path("audiocaps", split, f"Y{clip}.wav")
        item = CaptionedClip(name, tuple(texts), "audiocaps", split, licence, SECONDS)
        yield from deliver(item, audio, report)
