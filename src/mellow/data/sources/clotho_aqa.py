"""ClothoAQA: six questions about each of 1991 Clotho clips, answered by three annotators, who often disagree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mellow.data.records import YES_NO, Record, Split
from mellow.data.sources.audio import AudioRoot, clip_path
from mellow.data.sources.csv_file import Row, csv_rows
from mellow.data.sources.published import yes_no_question
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.data.sources.text_file import UTF8

__all__ = ["read"]

COLUMNS = ("file_name", "QuestionText", "answer", "confidence")
ANNOTATORS = 3


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
) -> Iterator[Record]:
    """Every yes/no answer of `clotho_aqa_train.csv`, `..._val.csv` or `..._test.csv` as a record of its own.

    Conflicting answers are all kept, as in ReasonAQA, and counted; answers other than yes and no are left out.
    """
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    rows = csv_rows(path, COLUMNS, encoding=encoding)
    for _, group in groupby(rows, key=lambda row: (row.fields["file_name"], row.fields["QuestionText"])):
        for record in _answers(list(group), path, split, report):
            yield from deliver(record, audio, report)


def _answers(rows: list[Row], path: str | Path, split: Split, report: SourceReport) -> Iterator[Record]:
    """The yes/no answers to one question about one clip, which stand in consecutive rows."""
    report.rows += len(rows)
    answers = [row.fields["answer"].strip().lower() for row in rows]
    given = [answer for answer in answers if answer in YES_NO]
    report.left_out["neither yes nor no"] += len(rows) - len(given)
    if len(rows) != ANNOTATORS:
        report.noted[f"question without {ANNOTATORS} answers"] += 1
    if len(set(given)) > 1:
        report.noted["answer to a question with both yes and no"] += len(given)
    for annotator, (row, answer) in enumerate(zip(rows, answers, strict=True), start=1):
        if answer in YES_NO:
            name = clip_path(row.fields["file_name"], where=f"{path}, line {row.line}")
            confidence = row.fields["confidence"].strip().lower()
            yield Record(
                question=yes_no_question(row.fields["QuestionText"]),
                answer=answer,
                audio=(f"ClothoAQA/audio_files/{name}",),
                choices=YES_NO,
                task="binary",
                subtype="ClothoAQA.json",
                source="clotho",
                split=split,
                licence=spec("clotho_aqa").licence,
                provenance={
                    "file": Path(path).name, "row": row.number, "annotator": annotator, "confidence": confidence,
                },
            )  # fmt: skip
