"""Finding the options that stand in a question itself, where they are clearly a list.

A wrong list is worse than none: what can be read in two ways is not taken for options, and the question is answered as
an open one. An alternative in prose ("Is it a dog or a cat?", "Answer yes or no.") is an open question, too.
"""

from __future__ import annotations

import re
from itertools import islice

from mellow.text.option_lists import are_options, are_tasks, is_trailing, trim, unquote, until_trailing
from mellow.text.option_marks import bulleted, marked

__all__ = ["find_options"]

HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
PLAIN = HALF_WIDTH | str.maketrans("`、。【】“”„«»‘’–—•‣◦▪●·", '\',.[]"""""\'\'--******')

MOST = 8  # places that are looked at, so that no text takes long
WITHIN = r"[^.:;?!\n=|]{0,60}?"  # more words of an introduction
COLON = r"(?: ?[:=] ?| ?:?\n)"
INTRODUCTION = re.compile(
    rf"(?<!\bmy )(?<!\bhis )(?<!\bher )\b(?:options|choices){WITHIN}{COLON}"
    rf"|\b(?:option|alternatives|answers)(?: are)?{COLON}"
    rf"|\b(?:of|from|between|among)(?: any| one of)? (?:the following|these|those)(?: \w+)?{COLON}|\bone of{COLON}"
    r"|\b(?:options|choices)(?: are| include|)(?: - | (?=[\[\"']))"
    rf"|\b(?:choose|pick|select)\b(?={WITHIN}\b(?:one|from|between|among|best|correct|right|an?)\b){WITHIN}{COLON}"
    rf"|(?:^|(?<=[.?!,;] )|(?<=\n))(?:choose|pick|select)(?: from| one)? ?: ?"
    rf"|\b(?:which|what|who) {WITHIN}\b(?:the following|these)\b{WITHIN}[:?][ \n]",
    re.IGNORECASE,
)
SENTENCE_LIST = re.compile(
    r"\b(?:(?:options|choices|alternatives|possible answers) (?:are|include)|(?:choose|pick|select)"
    r"(?: one)? (?:from|between|among|one of)"
    r"|(?:pick|choose|select) one of) (?!(?:the|these|those|your|two|all|both|this|that|each)\b)",
    re.IGNORECASE,
)
EITHER = re.compile(r"\b(?:what|which|who|where|how|whose)\b[^.:;?!\n]{0,80}: (?=[^\n:;?!]{1,300}\?$)", re.IGNORECASE)
BARS = re.compile(r"\? ?\n?(?=[^?\n|]{1,300}\|)")
ARRAY = re.compile(r"(?=\[ ?[\"'])|(?:(?<=\?) |(?<=\n)|(?<=options )|(?<=choices ))(?=\[)")
QUOTE = re.compile(r"""(?<!\w)(["'])([^\n]{1,300}?)\1(?=\s*(?:[,;\]})/|.?!]|$|or\b|and\b))""")
LABELLED = re.compile(r"[(\[]?(?:\d{1,2}|[A-Za-z])[)\].:] ")
GAP = re.compile(r"[\s,;|/]*(?:or|and)?\s*")
CLAUSE = re.compile(
    r"(?:it's|it|that|there|he|she|they|you|I|is|are|was|were|do|does|did|can|could|which|what|who|where|when|why|how)\b",
    re.IGNORECASE,
)


def find_options(question: str) -> tuple[str, ...]:
    """The options' texts in order and as they are written, or () where the question holds no clear list.

    Found are options behind letters or numbers (`a) x b) y`, `(A) x`, `1. x`), on lines with bullets, in brackets or
    quotes, and lists behind an introduction such as "Options:", "Choices:", "Pick one:" or "Choose from" that are
    parted by lines, `;`, `|`, `/` or commas. An instruction or a question behind the list is no part of it.
    Runs of blanks in an option become one.
    """
    shown = re.sub(r"[^\S\n]+", " ", question.replace("\r\n", "\n").replace("\r", "\n"))
    shown = re.sub(r" ?\n ?", "\n", shown)
    shown = re.sub(r"\n{3,}", "\n\n", shown).strip()
    plain = shown.translate(PLAIN)
    for find in (marked, bulleted, _introduced, _apart):
        options = find(plain)
        if options is not None:
            return _as_written(options, plain, shown)
    return ()


def _as_written(options: tuple[str, ...], plain: str, shown: str) -> tuple[str, ...]:
    """The same texts with the quotes and the full-width letters of the question."""
    written, end = [], 0
    for option in options:
        start = plain.find(option, end)
        end = start + len(option)
        written.append(" ".join(shown[start:end].split()))
    return tuple(written)


def _introduced(text: str) -> tuple[str, ...] | None:
    """The list behind words that introduce one; () where there are several."""
    matches = list(INTRODUCTION.finditer(text))
    ends = [match.start() for match in matches[1:]] + [len(text)] * bool(matches)
    lists = [_parted(text[match.end() : end]) for match, end in zip(matches, ends, strict=True)]
    found = [options for options in lists if options]
    return (found[0] if len(found) == 1 else ()) if found else None


def _apart(text: str) -> tuple[str, ...] | None:
    """A list that its writing tells apart: in a sentence that offers it, in square brackets, or parted by bars."""
    for pattern in (SENTENCE_LIST, ARRAY, BARS, EITHER):
        for match in islice(pattern.finditer(text), MOST):
            options = _parted(text[match.end() :], prose=pattern is SENTENCE_LIST)
            if options and (pattern is not EITHER or _is_either(text, options)):
                return options
    return None


def _is_either(text: str, options: tuple[str, ...]) -> bool:
    """Whether "Which is it: a drum, a flute or a harp?" holds three nouns or more, and no questions."""
    return len(options) > 2 and " or " in text and not any(CLAUSE.match(option) for option in options)


def _parted(body: str, *, prose: bool = False) -> tuple[str, ...]:
    """The options of a list without marks, or (); prose: "and" before the last one is no part of it."""
    quoted = _quoted(body)
    if quoted:
        return quoted
    body = _inside(body.strip())
    lines = _lines(body)
    if len(lines) > 1:
        options: tuple[str, ...] = () if LABELLED.match(lines[0]) else tuple(lines)
    else:
        line = lines[0] if lines else ""
        listed = until_trailing(line)
        separator = next((part for part in (";", "|", " / ", ",", "/") if part in listed), "")
        if separator in (";", "|") and separator in line[len(listed) :]:
            return ()
        options = _split(listed, separator, prose)
    options = trim(options)[0] if options else ()
    return unquote(options) if are_options(options) and not are_tasks(options) else ()


def _quoted(body: str) -> tuple[str, ...]:
    """Texts in quotes from the beginning on, as in `["dog", "cat"]` or `'dog', 'cat' or 'cow'`."""
    texts: list[str] = []
    end = 0
    for match in QUOTE.finditer(body):
        gap = body[end : match.start()]
        if not (GAP.fullmatch(gap) if texts else gap.strip(" \n[({") == ""):
            break
        texts.append(match.group(2).strip())
        end = match.end()
    nested = re.match(r"[\])}] ?[,;|] ?[\[({]", body[end:])
    return tuple(texts) if are_options(texts) and not nested else ()


def _inside(body: str) -> str:
    """What the brackets hold that a body begins with; the body itself where it begins with none."""
    close = {"[": "]", "{": "}", "(": ")"}.get(body[:1])
    inside, _, behind = body[1:].partition(close or "\0")
    return inside.strip() if close and not re.match(r" ?[,;|] ?[\[({]", behind) else body


def _lines(body: str) -> list[str]:
    """The lines up to a blank one or an instruction, without bullets."""
    lines = [re.sub(r"^[-*+] ", "", line).strip() for line in body.split("\n\n")[0].split("\n")]
    while len(lines) > 1 and is_trailing(lines[-1]):
        lines.pop()
    return lines


def _split(text: str, separator: str, prose: bool) -> tuple[str, ...]:
    """A line parted at a separator and at a last "or"; () where it is unclear how."""
    if not separator:
        pieces = re.split(r" (?:or|and) " if prose else r" or ", text)
        return tuple(pieces) if len(pieces) == 2 else ()
    pieces = [piece.strip(" ,;|/") for piece in (_at_commas(text) if separator == "," else text.split(separator))]
    if prose and len(pieces) < 3 and not re.search(r" (?:or|and) ", text):
        return ()  # "Your options are open, so be creative."
    *first, last = [piece for piece in pieces if piece] or [""]
    last = re.sub(r"^(?:or|and) ", "", plain := last)
    if separator != "," or not first or last != plain:
        return (*first, last)
    halves = re.split(r" (or|and) ", last)
    if len(halves) == 1 or all(half in first for half in halves[::2]):  # speech, music, speech and music
        return (*first, last)
    if len(halves) == 3 and (halves[1] == "or" or prose):
        return (*first, halves[0], halves[2])
    return ()  # "rock, jazz, drum and bass" or "dog, cat and cow"


def _at_commas(text: str) -> list[str]:
    """Parts at commas, but for those in round brackets and in numbers."""
    pieces, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        number = text[place - 1 : place].isdigit() and text[place + 1 : place + 2].isdigit()
        if character == "," and depth <= 0 and not number:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]
