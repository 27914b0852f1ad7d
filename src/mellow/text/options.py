"""Finding the options that stand in a question itself, in any common style."""

from __future__ import annotations

import re

__all__ = ["find_options"]

LETTER = r"(?:[a-zA-Z]|\d{1,2})"
MARKS = (
    re.compile(rf"(?:(?<=\s)|^)\(({LETTER})\)\s+"),  # (a) dog
    re.compile(rf"(?:(?<=\s)|^)({LETTER})\)\s+"),  # a) dog
    re.compile(rf"(?:(?<=\s)|^)({LETTER})[.:]\s+"),  # A. dog   1: dog
)
BULLET = re.compile(r"^[ \t]*[-*•][ \t]+", re.MULTILINE)
LIST = re.compile(
    r"\b(?:options|choices|answers|one of|pick one|choose one|choose from|select from)\s*:\s*(.+)$",
    re.IGNORECASE | re.DOTALL,
)
OR = re.compile(r"(?:^|\s)or\s")
CLOSING = re.compile(
    r"[.!?][ \t]+(?:which|what|who|whose|where|when|why|how|is|are|was|were|do|does|did|can|could)\b[^.!?]*\?\s*$",
    re.IGNORECASE,
)  # a question of its own behind the options: "... dog; cat. Which one do you hear?"
BEFORE_LIST = tuple("\n.?!:;,")  # what may stand before "A. dog", which else is prose: "Plan A: run. Plan B: hide."
EDGE = " \t\n;,|/"


def find_options(question: str) -> tuple[str, ...]:
    """The options' texts in order, or () where the question holds none.

    Understood are lettered and numbered lists (`a) x b) y`, `(A) x`, `1. x`), lists behind "Options:", "Choices:" or
    "Pick one:" parted by `;`, `|`, `/`, commas or lines (a last "or" is parted, too), and bulleted lines.
    """
    question = CLOSING.sub("", question)
    for mark in MARKS:
        options = _marked(question, mark)
        if options:
            return options
    bullets = BULLET.split(question)[1:]
    if _is_list(bullets):
        return tuple(text.strip(EDGE) for text in bullets)
    found = LIST.search(question)
    return _parted(found.group(1)) if found else ()


def _marked(question: str, mark: re.Pattern[str]) -> tuple[str, ...]:
    """Options behind marks that count up from a, A or 1 without a gap."""
    marks = list(mark.finditer(question))
    first = next((i for i, m in enumerate(marks) if m.group(1) in ("a", "A", "1")), None)
    if first is None or (mark is MARKS[-1] and not _begins(question[: marks[first].start()])):
        return ()
    run = [marks[first]]
    for m in marks[first + 1 :]:
        if _rank(m.group(1)) == _rank(run[-1].group(1)) + 1:
            run.append(m)
    ends = [m.start() for m in run[1:]] + [len(question)]
    texts = [question[m.end() : end].strip(EDGE) for m, end in zip(run, ends, strict=True)]
    if not any(text.endswith("?") for text in texts[:-1]):
        texts[-1] = texts[-1].rstrip("? ")
    return tuple(texts) if _is_list(texts) else ()


def _begins(before: str) -> bool:
    """Whether a list may begin behind this text: at the beginning, on a new line or behind a stop."""
    before = before.rstrip(" \t")
    return not before or before.endswith(BEFORE_LIST)


def _rank(mark: str) -> int:
    return int(mark) if mark.isdigit() else ord(mark.lower()) - ord("a") + 1


def _parted(text: str) -> tuple[str, ...]:
    text = text.strip().strip("[](){}").rstrip("?.").strip()
    for separator in ("\n", ";", "|", " / ", ","):
        if separator in text:
            texts = [part.strip(EDGE) for part in text.split(separator)]
            last = OR.split(texts[-1]) if separator == "," else [re.sub(r"^or\s+", "", texts[-1])]
            texts = [part for part in [*texts[:-1], *(piece.strip(EDGE) for piece in last)] if part]
            return tuple(texts) if _is_list(texts) else ()
    pair = OR.split(text)
    return tuple(part.strip(EDGE) for part in pair) if _is_list(pair) else ()


def _is_list(texts: list[str]) -> bool:
    cleaned = [text.strip(EDGE).lower() for text in texts]
    return len(cleaned) > 1 and all(cleaned) and len(set(cleaned)) == len(cleaned)
