"""What the ways of writing options have in common: cleaning the texts of a list, and ending it where its last one ends.

All texts here are plain: `\\n` for line ends, single blanks, half-width brackets and straight quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["are_options", "are_tasks", "introduces", "is_trailing", "join_words", "trim", "unquote", "until_trailing"]

EDGE = " \n,;|/"
SENTENCE = re.compile(r"""(?<!\b[A-Za-z])(?<!\b(?:Mr|Dr|St|vs|No))(?<!\bMrs)[.!?]["')]? (?=["'(\[]?[A-Z])""")
VERB = (
    "answer|respond|reply|choose|select|pick|output|return|explain|justify|provide|please|think|only|give|your answer|"
    "do not|don't|just|write|use|state|say|tell|name|listen|if|note|mark|type|enter|no explanation"
)
ASKING = "which|what|who|whose|where|when|why|how|is|are|am|was|were|do|does|did|can|could"
TRAILING = re.compile(
    rf"(?<=[.!?;:)]) (?=(?:{VERB})\b)"  # an instruction behind a stop
    r"| ?[(-] ?(?=(?:choose|select|pick|answer|reply|respond|please|(?:only|just) (?:the|one|a)|one (?:letter|word))\b)"
    r"|(?-i: (?=Thanks\b|Thank you\b))"
    r"|(?-i: (?=(?:Answer|Respond|Reply|Choose|Select|Pick|Please|Output|Explain|Return|Give) "
    r"(?:with|the|one|only|by|a|an|in|using|your|just|from|choose|select|answer|give|respond|reply)\b))"
    r"| (?=(?:(?:answer|respond|reply) (?:with|by|using)\b|(?:answer|response|output|question|note) ?:))"
    rf"|(?<=[.!?;])[ \n](?=(?:{ASKING})\b[^?]{{0,300}}\?$)"  # a question of its own: "... dog; cat. Which one is it?"
    r"|, (?=(?:which|what|who|where|when|how)\b[^?]{0,300}\?$)"
    r"| (?=which (?:one|of)\b[^?]{0,300}\?$)",
    re.IGNORECASE,
)
INTRODUCING = re.compile(
    r"\b(?:options?|choices?|alternatives|one of|choose|pick|select|(?:possible|candidate) answers|answers:)",
    re.IGNORECASE,
)
TASK = re.compile(
    r"(?:please |then |first |now )?(?:listen|say|describe|identify|tell|state|explain|transcribe|summari[sz]e|name|"
    r"estimate|rate|count|choose|select|pick|answer|respond|reply|write|decide|compare|give|report|list|determine|"
    r"be|do|don't|think|note|use|return|output|classify|focus|ignore|keep|avoid|pay|consider)\b",
    re.IGNORECASE,
)


def introduces(text: str) -> bool:
    """Whether a text speaks of options, or of choosing."""
    return bool(INTRODUCING.search(text))


def are_tasks(texts: Sequence[str]) -> bool:
    """Whether all texts are things to do: "Listen to the clip." and "Say what you hear."."""
    return all(TASK.match(text) for text in texts)


def are_options(texts: Sequence[str]) -> bool:
    """Whether these may be options: two or more texts, not all the same, each with words and closed brackets."""
    if len({text.casefold() for text in texts}) < 2 or not all(any(map(str.isalnum, text)) for text in texts):
        return False
    if re.search(r"\bplease\W*$", texts[-1]) and not texts[0].endswith("please"):
        return False  # "harp, please": an option or not
    return not any(text.endswith(":") or text.count('"') % 2 or _unbalanced(text) is not None for text in texts)


def _unbalanced(text: str) -> int | None:
    """Where a bracket closes that was not opened, or the length where one is not closed; else None."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return place
    return len(text) if depth else None


def join_words(text: str) -> tuple[str, str]:
    """A text without "or" or "and" at its end, and that word."""
    found = re.search(r"(?:^|[\s,;])(or|and|and/or)(?: then)?,?$", text.rstrip(EDGE), re.IGNORECASE)
    return (text[: found.start()].rstrip(EDGE), found.group(1).lower()) if found else (text, "")


def trim(texts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Texts without what parts them, and what stands behind the last one: an instruction or another question."""
    *others, last = (text.strip(EDGE) for text in texts)
    end = min(_ends(others, last))
    last, behind = last[:end], last[end:]
    cleaned = [*others, last.rstrip(EDGE)]
    if not any(text.endswith("?") for text in others):
        cleaned[-1] = cleaned[-1].rstrip("? ")
    return tuple(_without_stops(cleaned)), behind


def until_trailing(line: str) -> str:
    """A line up to the end of its first sentence, or to an instruction or a question in it."""
    return line[: min(_ends((), line))]


def is_trailing(line: str) -> bool:
    """Whether a line is no option but an instruction or a question behind the options."""
    return bool(TRAILING.match(f". {line}", 1))


def _ends(others: Sequence[str], last: str) -> list[int]:
    """Where the last text may end; only what the others lack is cut off."""
    ends = [len(last)]
    if not any("\n" in text for text in others):
        ends.append(last.find("\n"))
    ends.append(last.find("\n\n"))
    if not any(SENTENCE.search(text) for text in others):
        ends += [found.start() + 1 for found in [SENTENCE.search(last)] if found]
    if not any(TRAILING.search(text) for text in others):
        ends += [found.start() for found in [TRAILING.search(last)] if found]
    ends += [place for place in [_unbalanced(last)] if place is not None]
    return [end for end in ends if end >= 0]


def _without_stops(texts: list[str]) -> list[str]:
    """Full stops are part of sentences, but not of one or two words ("A. Dog. B. Cat.") or of a last text alone."""
    ends = [text.rstrip("\"'").endswith(".") and not re.search(r"\b[A-Za-z]\. ?[A-Za-z]\.$", text) for text in texts]
    if any(ends[:-1]) and not (all(ends) and len(" ".join(texts).split()) <= 2 * len(texts)):
        return [re.sub(r"(?<!\.)\.\.$", ".", text) for text in texts]
    return [text.rstrip(".") if end else text for text, end in zip(texts, ends, strict=True)]


def unquote(texts: Sequence[str]) -> tuple[str, ...]:
    """Texts without the quotes around each: `"dog"`."""
    found = [re.match(r"""(["'])(.+)\1[\s,;.)\]}]*$""", text, re.DOTALL) for text in texts]
    return tuple(match.group(2).strip() for match in found if match) if all(found) else tuple(texts)
