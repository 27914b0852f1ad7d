"""CLE and ACE: for each clip, or caption, a hypothesis that follows, one that may be so, and one that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mellow.data.records import Record, Split
from mellow.data.sources.audio import AudioRoot, clip_path
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.published import LABELS, audio_path, entailment_question, listed_texts
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec, split_of
from mellow.data.sources.text_file import UTF8
from mellow.errors import DataError

__all__ = ["read"]

HYPOTHESES = ("Entailment", "Neutral", "Contradiction")
COLUMNS = ("Dataset", "Audio file", "Caption", *HYPOTHESES)
MISNAMED = {name for table in spec("entailment").tables for name in table.misnamed}
SETS = {"clothov2": ("clotho", "CLE.json"), "audiocaps": ("audiocaps", "ACE.json")}


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    encoding: str = UTF8,
    keep_misnamed: bool = True,
) -> Iterator[Record]:
    """Three multiple-choice records of each row, in the published wording; the class is in `provenance["label"]`.

    The records have all the captions of their row: five in CLE, one in ACE.
    keep_misnamed: whether to yield the three clips of CLE whose names lack a blank; the paper counts without them.
    """
    report = report if report is not None else SourceReport()
    split = split or split_of(path)
    for line, number, row in csv_rows(path, COLUMNS, encoding=encoding):
        where = f"{path}, line {line}"
        report.rows += 1
        if row["Dataset"].lower() not in SETS:
            raise DataError(f"{where}: the data set {row['Dataset']!r} is unknown; use ClothoV2 or Audiocaps.")
        source, subtype = SETS[row["Dataset"].lower()]
        name = clip_path(row["Audio file"], where=where)
        name = name if source == "clotho" else f"{name.removesuffix('.wav')}.wav"
        if not keep_misnamed and row["Audio file"] in MISNAMED:
            report.left_out["misnamed clip"] += 1
            continue
        captions = listed_texts(row["Caption"], where=where)
        for column in HYPOTHESES:
            if not row[column].strip():
                report.left_out["empty hypothesis"] += 1
                continue
            record = Record(
                question=entailment_question(row[column]),
                answer=LABELS[column.lower()],
                audio=(audio_path(source, split, name),),
                captions=captions,
                choices=tuple(LABELS.values()),
                task="entailment",
                subtype=subtype,
                source=source,
                split=split,
                licence=spec("entailment").licence,
                provenance={"file": Path(path).name, "row": number, "label": column.lower()},
            )
            yield from deliver(record, audio, report)
