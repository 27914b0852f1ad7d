"""OpenAQA, the questions and answers of LTU: JSON lists of `instruction`, `audio_id`, `output`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mellow.data.records import Record, Split, Task
from mellow.data.sources.audio import AudioRoot, clip_path
from mellow.data.sources.json_file import json_objects
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec
from mellow.errors import DataError

__all__ = ["read"]

NEEDED = ("instruction", "audio_id", "output")
OPTIONAL = ("input", "dataset", "task")


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
) -> Iterator[Record]:
    """A record of each row; `input`, if there is any, is a second line of the question.

    The collection that the clip is of becomes the source, the published task is in `provenance["task"]`.
    """
    report = report if report is not None else SourceReport()
    for number, (line, item) in enumerate(json_objects(path), start=1):
        where = f"{path}, line {line}"
        report.rows += 1
        row = _texts(item, where)
        empty = next((name for name in ("instruction", "output") if not row[name].strip()), None)
        if empty:
            report.left_out["empty question" if empty == "instruction" else "empty answer"] += 1
            continue
        if not row["audio_id"]:
            report.noted["no clip named"] += 1
        record = Record(
            question="\n".join(text for text in (row["instruction"], row["input"]) if text),
            answer=row["output"],
            audio=(clip_path(row["audio_id"], where=where),) if row["audio_id"] else (),
            task=_task(row["task"]),
            subtype=Path(path).name.removesuffix(".gz"),
            source=row["dataset"] or "openaqa",
            split=split or "train",
            licence=spec("openaqa").licence,
            provenance={"file": Path(path).name, "row": number, "task": row["task"]},
        )
        yield from deliver(record, audio, report)


def _task(name: str) -> Task:
    if "open" in name.lower():
        return "detail"
    return "caption" if "cap" in name.lower() else "other"


def _texts(item: dict[str, Any], where: str) -> dict[str, str]:
    for name in NEEDED:
        if not isinstance(item.get(name), str):
            what = "is not a text" if name in item else "is missing"
            raise DataError(f"{where}: the field {name!r} {what}; a row has {', '.join(NEEDED)}.")
    row = {name: item.get(name) or "" for name in (*NEEDED, *OPTIONAL)}
    wrong = next((name for name in OPTIONAL if not isinstance(row[name], str)), None)
    if wrong:
        raise DataError(f"{where}: the field {wrong!r} is not a text.")
    return row
