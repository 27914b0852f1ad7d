"""Rows of data sets, whatever they were published as: captioned clips, and questions with answers about clips.

Every source is read into these, every task makes them, every filter and count looks at them, and the trainer reads the
examples that they become. As JSONL, one object per line without empty fields.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mellow.data.json_line import json_object
from mellow.errors import DataError
from mellow.files import replace_file
from mellow.types import Example

__all__ = ["YES_NO", "CaptionedClip", "Record", "Split", "Task", "read_records", "write_records"]

Split = Literal["train", "val", "test"]
Task = Literal["caption", "entailment", "binary", "difference", "mcq", "detail", "other"]
YES_NO = ("yes", "no")  # the choices of a binary question
TEXTS = ("question", "answer", "task", "subtype", "source", "split", "licence")
LISTS = ("audio", "captions", "choices")


@dataclass(frozen=True)
class CaptionedClip:
    """A clip with its human captions, as a source gives it.

    audio: path below the data set's root, with forward slashes; seconds: its length where the source tells it.
    """

    audio: str
    captions: tuple[str, ...]
    source: str
    split: Split
    licence: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Record:
    """A question and its answer about no, one or two clips, and where they come from.

    audio: paths below the data set's root, with forward slashes; captions: what people wrote about each of them.
    choices: the options in the order shown; then `answer` is one of them.
    subtype: the published file that such rows stand in (`CLE.json`, `ACD-1.json`, `AudioCaps-MCQ.json`); source: of the
    audio (`audiocaps`, `clotho`, ...).
    provenance: file and row of a published table; or LLM, revision, prompt and its version, type, seed, author.
    """

    question: str
    answer: str
    audio: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    task: Task = "other"
    subtype: str = ""
    source: str = ""
    split: Split = "train"
    licence: str = ""
    provenance: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Of the content alone: equal questions with equal answers about equal clips have equal ids."""
        content = [self.question, self.answer, list(self.audio), list(self.choices)]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]

    def to_example(self) -> Example:
        """What the trainer reads."""
        group = "|".join(self.audio)
        return Example(self.question, self.answer, self.audio, self.choices, self.task, group)

    def to_dict(self) -> dict[str, Any]:
        """Its `id` and the fields that are not empty, in order; `id` is written for readers and checked by nobody."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"id": self.id, **{name: value for name, value in values.items() if value}}

    def to_json(self) -> str:
        """One line of JSONL."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str, *, where: str) -> Record:
        """Read a line; DataError naming the place and the field that is wrong."""
        row = json_object(line, where=where, needs="a record has the fields question and answer")
        row.pop("id", None)
        known = cls.__dataclass_fields__
        if unknown := sorted(row.keys() - known.keys()):
            raise DataError(f"{where}: unknown field {unknown[0]!r}; use {', '.join(known)}.")
        _check(row, where)
        values: dict[str, Any] = {name: tuple(value) if name in LISTS else value for name, value in row.items()}
        return cls(**values)


def _check(row: Mapping[str, Any], where: str) -> None:
    for name in ("question", "answer"):
        if not row.get(name):
            raise DataError(f"{where}: the field {name!r} is missing or empty; every record needs one.")
    for name, value in row.items():
        if name in TEXTS and not isinstance(value, str):
            raise DataError(f"{where}: the field {name!r} is not a string.")
        if name in LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise DataError(f"{where}: the field {name!r} is not a list of strings.")
    for name, known in (("task", Task), ("split", Split)):
        if row.get(name) is not None and row[name] not in get_args(known):
            raise DataError(f"{where}: the {name} {row[name]!r} is unknown; use {', '.join(get_args(known))}.")
    if not isinstance(row.get("provenance", {}), dict):
        raise DataError(f"{where}: the field 'provenance' is not an object.")
    if len(row.get("audio", ())) > 2:
        raise DataError(f"{where}: the field 'audio' has {len(row['audio'])} clips; at most 2 can be asked about.")
    if row.get("choices") and row["answer"] not in row["choices"]:
        raise DataError(f"{where}: the field 'answer' is not among 'choices'.")


def read_records(path: str | Path) -> Iterator[Record]:
    """The records of a JSONL file, one by one; DataError names the line that is broken."""
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield Record.from_json(line, where=f"{path}, line {number}")
    except OSError as error:
        raise DataError(f"The records {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text.") from None


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as JSONL, whole or not at all; returns how many."""
    count = 0
    with replace_file(path) as file:
        for record in records:
            file.write(record.to_json() + "\n")
            count += 1
    return count
