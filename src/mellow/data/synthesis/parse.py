"""Reading what a language model wrote: five well-formed pairs, or a reason why it is rejected. Nothing is guessed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from unicodedata import category

from mellow.data.synthesis.prompts import Kind

__all__ = ["PAIRS", "Pair", "Reason", "RejectedError", "json_schema", "parse_pairs"]

PAIRS = 5  # per caption (appendix D.2)
OPTIONS = 4
LETTERS = "ABCD"

Reason = Literal[
    "refused by the server",
    "cut off",
    "refusal",
    "unreadable",
    "wrong number of pairs",
    "missing field",
    "wrong number of options",
    "letters out of order",
    "repeated option",
    "answer not among options",
    "repeated question",
    "placeholder",
]

APOLOGY = r"(?:i am|i'm) (?:\w+ )?(?:sorry|afraid)\b|sorry[,.]|(?:i |my )?apolog(?:y|i[sz]e|ies)\b"
INABILITY = r"i (?:cannot|can't|can not|could not|couldn't|won't|will not|must decline|do not have|don't have)\b"
UNABLE = r"(?:i am|i'm) (?:not able|unable)\b|as an? (?:ai|artificial intelligence|language model|llm)\b"
REFUSAL = re.compile(rf"\W*(?:unfortunately,? )?(?:{APOLOGY}|{INABILITY}|{UNABLE})", re.IGNORECASE)
FENCE = re.compile(r"```(?:json)?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
PLACEHOLDER = re.compile(r"\W*")  # such as the "..." of the prompt
MARK = re.compile(r"\(?(?P<letter>[A-Da-d])[).:]\s+(?P<option>\S.*)", re.DOTALL)
MARKS = re.compile(r"(?:(?<=\s)|^)\(?([A-Da-d])[).:]\s+")
LABEL = re.compile(
    r"^[ \t]*(?:[-*#>]+[ \t]*)?(?:\d{1,2}[.)][ \t]*)?\**(?P<label>question|answer|q|a)(?:[ \t]*\d{1,2})?\**[ \t]*:\**",
    re.IGNORECASE | re.MULTILINE,
)


class RejectedError(ValueError):
    """A language model's output that does not hold five well-formed pairs.

    reason: one of a few, which are counted; the text names the place.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True)
class Pair:
    """A question and its answer, which is one of the options where there are any."""

    question: str
    answer: str
    options: tuple[str, ...] = ()

    def question_with_options(self) -> str:
        """As the paper writes it: `Which sound is it? A) A bell B) A horn C) A dog D) A siren`."""
        return " ".join((self.question, *(f"{x}) {o}" for x, o in zip(LETTERS, self.options, strict=False))))


def json_schema(kind: Kind) -> dict[str, Any]:
    """What servers with structured output are asked for; the strict subset that all of them know."""
    text = {"type": "string"}
    properties: dict[str, Any] = {"question": text}
    if kind == "mcq":
        properties["options"] = {"type": "array", "items": text, "minItems": OPTIONS, "maxItems": OPTIONS}
    properties["answer"] = text  # behind the options, so that it is written when they are known
    pair = _object(properties)
    return _object({"pairs": {"type": "array", "items": pair, "minItems": PAIRS, "maxItems": PAIRS}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_pairs(text: str, kind: Kind, *, is_cut: bool = False) -> list[Pair]:
    """The five pairs of an output, which is JSON or the plain text form; RejectedError where it is anything else.

    is_cut: the server says that the output ended at the limit of tokens.
    """
    text = re.sub(r"\n\s*\n", "\n\n", text.replace("\r\n", "\n").strip())
    if _is_refusal(text):
        raise RejectedError("refusal", text[:80])
    if is_cut:
        raise RejectedError("cut off", "the output reached the limit of tokens")
    fenced = FENCE.findall(text)
    body = fenced[0].strip() if len(fenced) == 1 else text
    rows = _json_rows(body) if body[:1] in ("{", "[") else _text_rows(body, kind)
    if len(rows) != PAIRS:
        raise RejectedError("wrong number of pairs", f"{len(rows)} instead of {PAIRS}")
    pairs = [_pair(row, kind, f"pair {number}") for number, row in enumerate(rows, start=1)]
    questions = sorted(_folded(pair.question_with_options()) for pair in pairs)
    for one, other in pairwise(questions):
        if one == other:
            raise RejectedError("repeated question", one[:80])
    return pairs


def _json_rows(text: str) -> list[Any]:
    try:
        content = json.loads(text, strict=False)  # llama-cpp-python's grammar lets line breaks into strings
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(text) or error.msg.startswith("Unterminated")
        raise RejectedError("cut off" if is_cut else "unreadable", str(error)) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand brackets
        raise RejectedError("unreadable", str(error)) from None
    rows = content.get("pairs") if isinstance(content, dict) and set(content) == {"pairs"} else content
    if not isinstance(rows, list):
        raise RejectedError("unreadable", "the JSON has no list of pairs")
    return rows


def _text_rows(text: str, kind: Kind) -> list[dict[str, Any]]:
    """Blocks `Question: ...`, `Answer: ...`; options stand behind letters in the question."""
    labels = list(LABEL.finditer(text))
    names = [label["label"][0].lower() for label in labels]
    if not labels:
        raise RejectedError("unreadable", "neither JSON nor lines that begin with Question and Answer")
    ends = [label.start() for label in labels[1:]] + [len(text)]
    parts = [text[label.end() : end].strip() for label, end in zip(labels, ends, strict=True)]
    if names != ["q", "a"] * (len(names) // 2):
        odd = len(names) % 2 == 1 and names == (["q", "a"] * len(names))[: len(names)]
        raise RejectedError("cut off" if odd else "unreadable", "questions and answers do not alternate")
    rows = []
    for question, answer in zip(parts[::2], parts[1::2], strict=True):
        if "\n\n" in answer:
            raise RejectedError("unreadable", f"text that belongs to no pair behind {answer[:40]!r}")
        row: dict[str, Any] = {"question": question, "answer": answer}
        rows.append(row | _split_options(question) if kind == "mcq" else row)
    return rows


def _split_options(question: str) -> dict[str, Any]:
    marks = list(MARKS.finditer(question))
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    options = [question[mark.start() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    return {"question": question[: marks[0].start()].strip() if marks else question, "options": options}


def _pair(row: Any, kind: Kind, where: str) -> Pair:
    wanted = {"question", "answer"} | ({"options"} if kind == "mcq" else set())
    if not isinstance(row, dict) or set(row) != wanted:
        raise RejectedError("missing field", f"{where} does not have exactly the fields {', '.join(sorted(wanted))}")
    question, answer = (_text(row[name], f"{where}, {name}") for name in ("question", "answer"))
    for text in (question, answer):
        if _is_refusal(text):
            raise RejectedError("refusal", f"{where}: {text[:80]}")
    if kind == "detail":
        return Pair(question, answer)
    options = _options(row["options"], where)
    return Pair(question, _answer(answer, options, where), options)


def _is_refusal(text: str) -> bool:
    return REFUSAL.match(text.replace("’", "'")) is not None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RejectedError("missing field", f"{where} is empty or no text")
    text = " ".join(value.split())
    if PLACEHOLDER.fullmatch(text):
        raise RejectedError("placeholder", f"{where} is {text[:20]!r}")
    if any(category(character) in ("Cc", "Cs") for character in text):
        raise RejectedError("unreadable", f"{where} has characters that are no text")
    return text


def _options(values: Any, where: str) -> tuple[str, ...]:
    """Four different texts, without the letters A to D in front where all of them have one."""
    if not isinstance(values, list) or len(values) != OPTIONS:
        count = len(values) if isinstance(values, list) else "no list"
        raise RejectedError("wrong number of options", f"{where}: {count} instead of {OPTIONS}")
    options = [_text(value, f"{where}, options") for value in values]
    marks = [MARK.fullmatch(option) for option in options]
    if any(marks):
        if [mark and mark["letter"].upper() for mark in marks] != list(LETTERS):
            raise RejectedError("letters out of order", f"{where}: {' | '.join(options)}"[:200])
        options = [mark["option"] for mark in marks if mark]
    if len({_folded(option) for option in options}) < OPTIONS:
        raise RejectedError("repeated option", f"{where}: {' | '.join(options)}"[:200])
    return tuple(options)


def _answer(answer: str, options: tuple[str, ...], where: str) -> str:
    """The option that the answer is: its words, its letter, or both where they agree."""
    by_words = {_folded(option): option for option in options}
    if found := by_words.get(_folded(answer)):
        return found
    mark = MARK.fullmatch(answer)
    by_letter = dict(zip(LETTERS, options, strict=True))
    if mark and by_words.get(_folded(mark["option"])) == (lettered := by_letter[mark["letter"].upper()]):
        return lettered
    letter = answer.strip("(). :").upper()
    if letter in by_letter:
        return by_letter[letter]
    raise RejectedError("answer not among options", f"{where}: {answer[:80]}")


def _folded(text: str) -> str:
    """What makes two texts equal: neither case nor spaces nor a full stop at the end part them."""
    return " ".join(text.casefold().split()).rstrip(".")
