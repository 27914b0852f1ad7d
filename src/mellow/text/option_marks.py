"""Options behind marks: letters, numbers and bullets (`a) dog b) cat`, `(A) dog`, `1. dog`, `- dog`)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from string import ascii_lowercase, ascii_uppercase

from mellow.text.option_lists import are_options, are_tasks, introduces, join_words, trim, unquote

__all__ = ["bulleted", "marked"]

ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
NUMBERS = tuple(str(number) for number in range(100))
NEAR = 300  # characters in front of a list that show what it is
MOST_LISTS = 8  # that are looked at, so that no text takes long
SEQUENCES: tuple[Sequence[str], ...] = (
    ascii_lowercase,
    ascii_uppercase,
    NUMBERS,
    NUMBERS[1:],
    ROMAN,
    tuple(map(str.upper, ROMAN)),
    "αβγδεζηθ",
    "ΑΒΓΔΕΖΗΘ",
    "абвгдежз",
    "АБВГДЕЖЗ",
    "①②③④⑤⑥⑦⑧⑨⑩",
)
LABEL = r"(?:\d{1,2}|[ivxIVX]{1,4}|[^\W\d_])"
NAME = r"(?:(?:[Oo]ption|OPTION|[Cc]hoice) )?"
LINE = r"(?:(?:(?<=\n)|^)[-*+] )?"  # a bullet in front of a mark
BRACKETS, HALF, DOT, COLON, DASH, QUOTED, CELL, CIRCLED = (
    re.compile(
        rf"{LINE}(?<![A-Za-z0-9)\]]){NAME}\*{{0,3}}"
        rf"(?:\(({LABEL})\)|\[({LABEL})\]|\{{({LABEL})\}}|<({LABEL})>)[.:]?\*{{0,3}} ?"
    ),
    re.compile(rf"{LINE}(?<![^\s,;.:?!]){NAME}\*{{0,3}}({LABEL})[)\]]\*{{0,3}} ?"),
    re.compile(
        rf"{LINE}(?<!\S){NAME}\*{{0,3}}(?:({LABEL})\.\*{{0,3}}(?=[\s\"'])|(\d{{1,2}}|[^\W\d_])\.(?=[^\W\d_]{{2}})) ?"
    ),
    re.compile(rf"{LINE}(?<!\S){NAME}\*{{0,3}}({LABEL}) ?:\*{{0,3}}(?=[\s\"']) ?"),
    re.compile(rf"{LINE}(?<!\S){NAME}({LABEL}) [-=] "),
    re.compile(rf"""(?<![^\s{{,])["']({LABEL})["'] ?: ?"""),
    re.compile(rf"(?:(?<=\n)|^)\| ?({LABEL}) ?\| ?"),
    re.compile(r"([①-⑳]) ?"),
)
STYLES = (QUOTED, CELL, CIRCLED, BRACKETS, HALF, DOT, COLON, DASH)
LOOSE = (DOT, COLON, DASH)  # marks that prose has, too: "Plan A: run. Plan B: hide."
BULLETS = re.compile(r"(?:(?:^|\n)[-*+] [^\n]+){2,}")
HEADING = re.compile(
    r"(?:(?:[\w']+ ){0,2}(?=\w+ ?:))?(?:rules|steps|tasks?|instructions?|notes?|context|facts|questions?|guidelines"
    r"|requirements|format|goals?|hints?|background|transcript|dialogue|conversation) ?:?",
    re.IGNORECASE,
)  # a line of its own, or in front of a colon
ORDER = re.compile(
    r"(?:please |now |then )*(?:describe|comment|discuss|explain|report|say|tell|list|answer|order|rank|sort|arrange"
    r"|put|summari[sz]e|do|compare|write|note|mention|consider)\b(?!.*\b(?:which|what|who)\b)",
    re.IGNORECASE,
)
BEFORE_LIST = tuple("\n.?!:;,")
ASKED = re.compile(r"\b(?:which|what|who|where|when|how|identify|name|classify|guess)\b", re.IGNORECASE)
START = attrgetter("start")
ASIDE = re.compile(r"[\W_]*(?:when|where|why|how|is|are|am|was|were|do|does|did|can|could|has|have)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    label: str
    start: int
    end: int


@dataclass(frozen=True)
class Listed:
    """A list as it stands in a text: from the first mark to the end of the last option."""

    options: tuple[str, ...]
    start: int
    end: int
    clear: bool  # False where its marks could be read in another way, too


def marked(text: str) -> tuple[str, ...] | None:
    """The options of the one list with marks; () where there are several or it is unclear, None without a list."""
    for style in STYLES:
        marks = [Mark(next(filter(None, m.groups())), m.start(), m.end()) for m in style.finditer(text)]
        starting = [mark for mark in marks if mark.start == 0 or text[mark.start - 1] == "\n"]
        on_lines, anywhere = _lists(text, starting, style), _lists(text, marks, style)
        lists = on_lines or anywhere
        if lists:
            longer = len(lists[0].options) < max((len(found.options) for found in anywhere), default=0)
            return lists[0].options if len(lists) == 1 and lists[0].clear and not longer else ()
    return None


def bulleted(text: str) -> tuple[str, ...] | None:
    """The options of the one list with bullets; () where there are several, None without a list."""
    lists = []
    for found in BULLETS.finditer(text):
        options = tuple(line[2:].strip(" ,;") for line in found.group().strip("\n").split("\n"))
        if are_options(options) and not are_tasks(options) and _leads(text[: found.start()], options, loose=True):
            lists.append(unquote(options))
    return (lists[0] if len(lists) == 1 else ()) if lists else None


def _lists(text: str, marks: Sequence[Mark], style: re.Pattern[str]) -> list[Listed]:
    """The lists behind these marks, without those inside the options of another."""
    lists: list[Listed] = []
    for run in _runs(marks):
        found = _listed(text, run, marks, style)
        if found and not any(outer.start <= found.start < outer.end for outer in lists):
            lists = [inner for inner in lists if not found.start <= inner.start < found.end] + [found]
    return lists


def _runs(marks: Sequence[Mark]) -> Iterator[list[Mark]]:
    """Marks that count up without a gap from the first label of a sequence, as long as they go."""
    places: dict[str, list[int]] = {}
    for place, mark in enumerate(marks):
        places.setdefault(mark.label, []).append(place)
    for sequence in SEQUENCES:
        for first in places.get(sequence[0], [])[:MOST_LISTS]:
            run = [first]
            for label in sequence[1:]:
                later = places.get(label, [])
                place = bisect_right(later, run[-1])
                if place == len(later):
                    break
                run.append(later[place])
            if len(run) > 1:
                yield [marks[place] for place in run]


def _listed(text: str, run: Sequence[Mark], marks: Sequence[Mark], style: re.Pattern[str]) -> Listed | None:
    """The list behind a run of marks, or None where that is prose, steps, tasks or questions."""
    before, loose = text[: run[0].start], style in LOOSE
    if loose and not _begins(before):
        return None
    ends = [mark.start for mark in run[1:]] + [len(text)]
    texts = [text[mark.end : end] for mark, end in zip(run, ends, strict=True)]
    before_last, word = join_words(texts[-2])
    if word != "and" or not texts[-2].endswith("\n"):
        texts[-2] = before_last
    options, behind = trim(texts)
    options = unquote(options)
    offered = introduces(before[-NEAR:])
    if not are_options(options) or (word == "and" and not offered) or _runs_on(before, options, word):
        return None
    if not offered and (are_tasks(options) and not before.rstrip().endswith("?")):
        return None
    if not _leads(before, options, loose=loose and run[0].label.isdigit()) or _is_talk(before, behind, style):
        return None
    end = len(text) - len(behind)
    return Listed(options, run[0].start, end, _is_clear([*run, Mark("", end, end)], marks, loose))


def _runs_on(before: str, options: Sequence[str], word: str) -> bool:
    """Whether the marks may be part of a sentence that goes on: "Is it a) a dog or b) a cat in the clip?"."""
    words, first = before.split()[-1:], options[0].split()[-1:]
    if words == first and len(options[0].split()) < 6:  # "Is clip (a) louder than clip (b)?"
        return True
    *others, last = (len(option.split()) for option in options)
    return bool(word) and last > max(others) + 1 and before.rstrip()[-1:].isalnum()


def _begins(before: str) -> bool:
    """Whether a list may begin behind this text: at the beginning, on a new line, behind a stop or "options"."""
    before = before.rstrip(" *")
    return not before or before.endswith(BEFORE_LIST) or bool(re.search(r"(?:options|choices|answers)$", before, re.I))


def _last_sentence(text: str) -> str:
    return re.split(r"[.?!] |[.?!]?\n", text[-NEAR:].rstrip())[-1].strip()


def _leads(before: str, options: Sequence[str], *, loose: bool) -> bool:
    """Whether the text in front may lead to options, rather than to tasks, notes or questions."""
    sentence = _last_sentence(before)
    if introduces(before[-NEAR:]) and not HEADING.fullmatch(sentence):
        return True
    asked = sentence.endswith("?")
    if HEADING.fullmatch(sentence) or (ORDER.match(sentence) and not asked and not sentence.endswith((".", "!"))):
        return False
    if options[0].endswith("?") or sum(option.endswith("?") for option in options) * 2 > len(options):
        return asked and not re.search(r"\b(?:answer|questions)\b", sentence, re.IGNORECASE)
    return not (loose and (are_tasks(options) or (sentence.endswith(":") and not ASKED.search(sentence))))


def _is_talk(before: str, behind: str, style: re.Pattern[str]) -> bool:
    """Whether this is told, not offered: "I hear a) a dog b) a cat. Am I right?" or "A: Hello. B: Hi. Who is it?"."""
    if "?" in before or introduces(before):
        return False
    return bool(ASIDE.match(behind)) or (style is COLON and "?" in behind)


def _is_clear(run: Sequence[Mark], marks: Sequence[Mark], loose: bool) -> bool:
    """Whether no other mark could stand for one of the run, and no second list begins inside it."""
    for mark, following in pairwise(run):
        first, last = (bisect_right(marks, place, key=START) for place in (mark.start, following.start - 1))
        between = [m.label for m in marks[first:last]]
        if (loose and mark.label in between) or (run[0].label in between and run[1].label in between):
            return False
    return True
