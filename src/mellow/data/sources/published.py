"""The rows of the published ReasonAQA JSON, to records and back without loss.

A published row has eight texts: `taskname`, `filepath1`, `filepath2`, `caption1`, `caption2`, `input`, `answer` and
`subtype`. Whatever of a row its record alone would not write back (other slashes, another writing of the answer) is
kept in the record's provenance under `published.NAME`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

from mellow.data.captions.paraphrases import CAPTION_BOTH, CAPTION_FIRST, CAPTION_SECOND
from mellow.data.records import YES_NO, Record, Split, Task
from mellow.data.sources.audio import clip_path
from mellow.errors import DataError

__all__ = [
    "CLOTHO_SPLITS", "FIELDS", "LABELS", "TIERS", "audio_path", "entailment_question", "from_published", "letters",
    "listed_texts", "subtype_task", "to_published", "yes_no_question",
]  # fmt: skip

FIELDS = ("taskname", "filepath1", "filepath2", "caption1", "caption2", "input", "answer", "subtype")
KEPT = "published."
TASKS: dict[str, Task] = {"MCQ": "mcq", "Detail": "detail", "1": "difference", "2": "difference", "3": "difference"}
WHOLE: dict[str, Task] = {"AudioCaps": "caption", "Clotho": "caption", "ClothoAQA": "binary"}
WHOLE |= {"CLE": "entailment", "ACE": "entailment"}
CLOTHO_SPLITS: dict[Split, str] = {"train": "development", "val": "validation", "test": "evaluation"}
TASKNAMES = {"clotho": "clothov21"}
SOURCES = {"clothov21": "clotho", "clotho_aqa_train": "clotho", "clotho_aqa_val": "clotho", "clotho_aqa_test": "clotho"}

# Inputs for which training draws a paraphrase. The tables of tier 2 say "in a sentence", the published evaluation
# prompt "in one extended sentence".
TIERS = {
    "explain the difference in few words": 1,
    "explain the difference in a sentence": 2,
    "explain the difference in one extended sentence": 2,
    "explain the difference in detail": 3,
}

# The options of the published entailment question.
LABELS = {
    "entailment": "It is definitely true",
    "contradiction": "It is definitely false",
    "neutral": "It is plausible",
    "unknown": "I cannot determine",
}
MARK = re.compile(r"(?:^|(?<=[\s?.:,;]))\(?([A-Ha-h])[).] ?(?=\S)")
ANSWER = re.compile(r"\(?([A-Ha-h])(?:[).:]\s*(.*))?", re.DOTALL)


def subtype_task(subtype: str) -> Task:
    """The task of a published file: `difference` of `ACD-2.json`, `mcq` of `Clotho-MCQ.json`."""
    stem = subtype.removesuffix(".json")
    return WHOLE.get(stem) or TASKS.get(stem.rpartition("-")[2], "other")


def audio_path(source: str, split: Split, name: str) -> str:
    """Where the published rows say that a clip of AudioCaps or Clotho lies."""
    folder = f"AudioCapsLarger/{split}" if source == "audiocaps" else f"ClothoV21/{CLOTHO_SPLITS[split]}"
    return f"{folder}/{name}"


def entailment_question(hypothesis: str) -> str:
    options = " ".join(f"{mark}) {text}" for mark, text in zip("abcd", LABELS.values(), strict=True))
    return f'Based on the audio, what can be said about the hypothesis - "{hypothesis}"? {options}'


def yes_no_question(question: str) -> str:
    return f"{question} Answer only using yes or no."


def letters(question: str) -> tuple[tuple[str, str], ...]:
    """Letters and texts of the options that a question lists as `a) x b) y`; () where the letters are not in order."""
    marks = list(MARK.finditer(question))
    first = next((place for place, mark in enumerate(marks) if mark[1] in "aA"), len(marks))
    marks = marks[first:]
    wanted = "abcdefgh" if marks and marks[0][1] == "a" else "ABCDEFGH"
    if not 2 <= len(marks) <= len(wanted) or "".join(mark[1] for mark in marks) != wanted[: len(marks)]:
        return ()
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    return tuple((mark[1], question[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True))


def listed_texts(text: str, *, where: str) -> tuple[str, ...]:
    """The texts of a field that holds a Python list of them, or the field itself as the only one; () of none.

    Raises DataError where it begins like a list and is none.
    """
    if not text:
        return ()
    if not text.startswith(("['", '["')):
        return (text,)
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"{where}: {text[:40]!r}... begins like a list of texts, but is not one.") from None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise DataError(f"{where}: {text[:40]!r}... is not a list of texts only.")
    return tuple(found)


# --- from rows --------------------------------------------------------------------------------------------------------


def from_published(
    row: Mapping[str, str], *, split: Split, where: str, licence: str = "", provenance: Mapping[str, str | int]
) -> Record:
    """The record of a published row; DataError naming the place where a path or list of captions is broken."""
    paths = [row[name] for name in ("filepath1", "filepath2") if row[name]]
    captions = [text for name in ("caption1", "caption2") for text in listed_texts(row[name], where=where)]
    task = subtype_task(row["subtype"])
    answer, choices = row["answer"], tuple[str, ...]()
    if task == "binary":
        choices = YES_NO if answer in YES_NO else ()
    elif task == "caption":
        answer = answer or _caption_answer(row)
    elif task != "difference":
        answer, choices = _chosen(answer, tuple(text for _, text in letters(row["input"])))
    record = Record(
        question=row["input"],
        answer=answer,
        audio=tuple(clip_path(path, where=where) for path in paths),
        captions=tuple(captions),
        choices=choices,
        task=task,
        subtype=row["subtype"],
        source=SOURCES.get(row["taskname"], row["taskname"]),
        split=split,
        licence=licence,
    )
    plain = _plain(record)
    kept = {KEPT + name: value for name, value in row.items() if plain.get(name) != value}
    return replace(record, provenance={**provenance, **kept})


def _caption_answer(row: Mapping[str, str]) -> str:
    """The answer that training makes of the captions where a row with a special input has none."""
    if row["input"] == CAPTION_BOTH:
        return f"The audio 1 is {row['caption1']}. The audio 2 is {row['caption2']}.".replace("..", ".")
    return {CAPTION_FIRST: row["caption1"], CAPTION_SECOND: row["caption2"]}.get(row["input"], "")


def _chosen(answer: str, options: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The option that an answer names and the options; the answer as it is, and no options, where it names none."""
    match = ANSWER.fullmatch(answer)
    texts = [_plainly(option) for option in options]
    if match:
        place = "abcdefgh".index(match[1].lower())
        if place < len(options) and _plainly(match[2] or "") in ("", texts[place]):
            return options[place], options
    if texts.count(_plainly(answer)) == 1:
        return options[texts.index(_plainly(answer))], options
    return answer, ()


def _plainly(text: str) -> str:
    return text.strip(" .").casefold()


# --- to rows ----------------------------------------------------------------------------------------------------------


def to_published(record: Record) -> dict[str, str]:
    """The published row of a record; of what the format has no place for, licence, split and provenance are lost."""
    kept = {name.removeprefix(KEPT): str(value) for name, value in record.provenance.items() if name.startswith(KEPT)}
    return _plain(record) | kept


def _plain(record: Record) -> dict[str, str]:
    taskname = TASKNAMES.get(record.source, record.source)
    audio = [*record.audio, "", ""][:2]
    if record.subtype == "ClothoAQA.json":
        taskname = f"clotho_aqa_{record.split}"
        audio = [path.replace("/", "\\") for path in audio]
    captions = [record.captions, ()]
    if len(record.audio) == 2 and len(record.captions) == 2:
        captions = [record.captions[:1], record.captions[1:]]
    texts = (*audio, *map(_listing, captions), record.question, _marked(record), record.subtype)
    return dict(zip(FIELDS, (taskname, *texts), strict=True))


def _listing(captions: tuple[str, ...]) -> str:
    """One caption as it is, several as the tables of entailment write them: a Python list."""
    if len(captions) == 1 and captions[0] and not captions[0].startswith(("['", '["')):
        return captions[0]
    return repr(list(captions)) if captions else ""


def _marked(record: Record) -> str:
    """The answer with the letter that its option has in the question."""
    if record.task in ("mcq", "entailment", "other") and record.choices:
        for mark, text in letters(record.question):
            if text == record.answer:
                return f"{mark}) {text}"
    return record.answer
