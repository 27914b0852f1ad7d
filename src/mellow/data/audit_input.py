"""Any data set as records: our JSONL, published ReasonAQA and OpenAQA JSON, published tables, anybody's questions.

Rows are read one by one, whatever the size of the file.
"""

from __future__ import annotations

import ast
import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, get_args

from mellow.data.records import YES_NO, Record, Split, Task, read_records
from mellow.data.sources.published import LABELS, entailment_question
from mellow.data.wording import options_in
from mellow.errors import DataError

__all__ = ["data_files", "read_any"]

log = logging.getLogger(__name__)

ENDINGS = (".jsonl", ".json", ".csv")
READ_AT_ONCE = 1 << 20  # characters
MOST_CLIPS = 2
DETAIL_WORDS = 4  # of an open answer, from which it is a detailed one
LONGEST_FIELD = 1 << 24  # characters of a csv field
HYPOTHESES = ("Entailment", "Contradiction", "Neutral")  # columns of CLE and ACE
NAMES = {  # fields of a record -> what others call them, in order of preference
    "question": ("question", "QuestionText", "instruction", "input", "prompt", "query"),
    "answer": ("answer", "output", "response", "target"),
    "audio": ("audio", "audio1", "filepath1", "audio_id", "file_name", "filename", "audio_path", "path", "wav"),
    "second": ("filepath2", "audio2", "audio_id2"),
    "caption": ("captions", "caption", "caption1", "text"),
    "second_caption": ("caption2",),
    "choices": ("choices", "options"),
    "source": ("source", "dataset", "taskname"),
}
TASKS: dict[str, Task] = {  # by the beginning of a published subtype
    "CLE": "entailment",
    "ACE": "entailment",
    "CLD": "difference",
    "ACD": "difference",
    "ClothoAQA": "binary",
    "Clotho-MCQ": "mcq",
    "AudioCaps-MCQ": "mcq",
    "Clotho-Detail": "detail",
    "AudioCaps-Detail": "detail",
    "Clotho.": "caption",
    "AudioCaps.": "caption",
}
TIERS = {"fewwords": 1, "sentence": 2, "detail": 3}
SPLITS: dict[str, Split] = {
    "train": "train",
    "development": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "evaluation": "test",
    "eval": "test",
}


def data_files(path: str | Path) -> list[Path]:
    """The files of a data set: itself, or all .jsonl, .json and .csv below a directory, in order of their names."""
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"There is no data set {path}; give a .jsonl, .json or .csv file, or a directory of them.")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not found:
        raise DataError(f"The directory {path} has no .jsonl, .json or .csv files.")
    return found


def read_any(path: str | Path) -> Iterator[Record]:
    """The records of a data set, one by one.

    In a directory, files without questions are left out with a notice. Raises DataError where none has any, or where a
    file is broken.
    """
    files = data_files(path)
    some = False
    for file in files:
        rows = read_file(file)
        first = next(rows, None)
        if first is None and len(files) > 1:
            log.info("%s has no questions and is left out.", file)
        elif first is not None:
            some = True
            yield first
            yield from rows
    if not some:
        raise DataError(
            f"{path} has no questions; rows need a question and an answer (columns such as `question` and `answer`)."
        )


def read_file(path: Path) -> Iterator[Record]:
    """The records of one file; none where its rows are no questions."""
    if path.suffix.lower() == ".jsonl" and _is_ours(path):
        return read_records(path)
    return _records(path)


def _records(path: Path) -> Iterator[Record]:
    readers: dict[str, Callable[[TextIO], Iterator[Any]]] = {".jsonl": _json_lines, ".json": _json_list, ".csv": _table}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path} is no .jsonl, .json or .csv file; convert it to one of these.")
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(read(file), start=1):
                if isinstance(row, Mapping):
                    yield from _from_row(row, path, number)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text (behind row {number}); save it as UTF-8.") from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(f"{path} is broken behind row {number} ({error}).") from None


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            row = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(row, dict) and not set(row) - {"id", *Record.__dataclass_fields__} and "question" in row


# --- rows of files ----------------------------------------------------------------------------------------------------


def _json_lines(file: TextIO) -> Iterator[Any]:
    return (json.loads(line) for line in file if line.strip())


def _json_list(file: TextIO) -> Iterator[Any]:
    """The items of a list, or of the first list in an object (`data` of WavCaps), without reading it whole."""
    decoder = json.JSONDecoder()
    text = file.read(READ_AT_ONCE)
    text = text[text.find("[") + 1 :] if "[" in text else ""
    while True:
        text = text.lstrip(" \t\r\n,")
        if text.startswith("]"):
            return
        try:
            item, end = decoder.raw_decode(text)
        except ValueError:
            more = file.read(READ_AT_ONCE)
            if not more:
                raise
            text += more
            continue
        yield item
        text = text[end:] if len(text) - end > READ_AT_ONCE >> 4 else text[end:] + file.read(READ_AT_ONCE)


def _table(file: TextIO) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(LONGEST_FIELD)
    return csv.DictReader(file, strict=True)


# --- rows to records --------------------------------------------------------------------------------------------------


def _from_row(row: Mapping[str, Any], path: Path, number: int) -> Iterator[Record]:
    if "Entailment" in row and "Audio file" in row:
        yield from _entailments(row, path, number)
    elif (record := _question(row, path, number)) is not None:
        yield record


def _entailments(row: Mapping[str, Any], path: Path, number: int) -> Iterator[Record]:
    """The three hypotheses of a row of CLE or ACE as questions in the published words."""
    is_clotho = str(row.get("Dataset", "")).lower().startswith("clotho")
    captions = str(row.get("Caption", ""))
    listed = tuple(ast.literal_eval(captions)) if captions.startswith("[") else (captions,)
    for label in HYPOTHESES:
        if row.get(label):
            yield Record(
                question=entailment_question(row[label]),
                answer=LABELS[label.lower()],
                audio=(str(row["Audio file"]),),
                captions=listed,
                choices=tuple(LABELS.values()),
                task="entailment",
                subtype="CLE.json" if is_clotho else "ACE.json",
                source="clotho" if is_clotho else "audiocaps",
                split=_split(path.stem),
                provenance={"file": path.name, "row": number},
            )


def _question(row: Mapping[str, Any], path: Path, number: int) -> Record | None:
    """A row with a question and an answer under any of their usual names, or None; empty ones are left out."""
    question, answer = _value(row, "question"), _value(row, "answer")
    if not question or not answer:
        return None
    subtype = str(row.get("subtype") or _subtype(row, path) or row.get("task") or "")
    audio = _listed(row, "audio") + _listed(row, "second")
    if len(audio) > MOST_CLIPS:
        raise DataError(f"{path}, row {number}: {len(audio)} clips; at most {MOST_CLIPS} can be asked about.")
    captions = _listed(row, "caption") + _listed(row, "second_caption")
    listed = _listed(row, "choices")
    task = _task(subtype) if subtype else "other"
    if task in ("binary", "other"):
        task = _guess(question, answer, listed)
    choices = listed or (YES_NO if task == "binary" else ())
    answer = next((choice for choice in choices if choice.lower() == answer.lower()), answer)
    places = (str(row.get("split") or ""), path.stem, _value(row, "source"), *audio)
    return Record(
        question=question,
        answer=answer,
        audio=tuple(name.replace("\\", "/") for name in audio),
        captions=captions,
        choices=choices if answer in choices else (),
        task=task,
        subtype=subtype,
        source=_value(row, "source").lower(),
        split=_split(" ".join(places)),
        provenance={"file": path.name, "row": number},
    )


def _value(row: Mapping[str, Any], field: str) -> str:
    for name in NAMES[field]:
        if row.get(name) not in (None, "", [], ()):
            return str(row[name]).strip()
    return ""


def _listed(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value: Any = next((row[name] for name in NAMES[field] if row.get(name)), ())
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            value = (value,)
    if isinstance(value, str):
        value = value.split("|") if field == "choices" else (value,)
    return tuple(str(item).strip() for item in value if str(item).strip())


def _subtype(row: Mapping[str, Any], path: Path) -> str:
    """What published tables are called in ReasonAQA; '' for others."""
    tier = next((tier for word, tier in TIERS.items() if word in path.stem), None)
    if "filepath2" in row and tier and path.stem.startswith(("acd", "cld")):
        return f"{path.stem[:3].upper()}-{tier}.json"
    return "ClothoAQA.json" if "QuestionText" in row else ""


def _task(subtype: str) -> Task:
    named: dict[str, Task] = {task: task for task in get_args(Task)}
    starts = (task for start, task in TASKS.items() if subtype.startswith(start))
    return named[subtype] if subtype in named else next(starts, "other")


def _guess(question: str, answer: str, choices: tuple[str, ...]) -> Task:
    """The family of a question that nobody named: answered yes or no, with options, in a sentence, or in a word."""
    if answer.lower() in YES_NO:
        return "binary"
    if choices or options_in(question):
        return "mcq"
    return "detail" if len(answer.split()) >= DETAIL_WORDS else "other"


def _split(text: str) -> Split:
    words: Iterable[str] = text.lower().replace("/", " ").replace("_", " ").replace("-", " ").replace(".", " ").split()
    return next((SPLITS[word] for word in words if word in SPLITS), "train")
