"""How men, women and children are spoken of: how often, with which words, and whether a caption tells of them."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from functools import cache
from importlib.resources import files

from mellow.data.measures.base import share
from mellow.data.records import Record
from mellow.data.section import Section, Value
from mellow.data.wording import stop_words, words

__all__ = ["People"]

BEHIND = 3  # words behind a person's in which one is looked for that says what they do
SAID = 8  # words shown per group
MOST_WORDS = 20_000  # different ones that are counted per group
GENERAL = frozenset("voice voices sound sounds audio clip first second speech person people likely".split())  # noqa: SIM905


@cache
def _groups() -> dict[str, frozenset[str]]:
    table = tomllib.loads(files("mellow.data.measures").joinpath("people.toml").read_text(encoding="utf-8"))
    return {name: frozenset(listed) for name, listed in table.items()}


@cache
def _all_words() -> frozenset[str]:
    return frozenset().union(*_groups().values())


class People:
    """Counts rows that speak of each group, and the words that follow."""

    def __init__(self) -> None:
        self._rows = 0
        self._mentions: Counter[str] = Counter()
        self._captions: Counter[str] = Counter()
        self._added: Counter[str] = Counter()
        self._said: dict[str, Counter[str]] = defaultdict(Counter)

    def observe(self, record: Record) -> None:
        self._rows += 1
        text = words(record.question) + words(record.answer)
        spoken = _all_words().intersection(text)
        told = {word for caption in record.captions for word in words(caption)} & _all_words()
        if not spoken and not told:
            return
        for group, names in _groups().items():
            in_caption = not names.isdisjoint(told)
            self._captions[group] += in_caption
            if not names.isdisjoint(spoken):
                self._mentions[group] += 1
                self._added[group] += bool(record.captions) and not in_caption
                self._follow(group, names, text)

    def _follow(self, group: str, names: frozenset[str], text: tuple[str, ...]) -> None:
        counts = self._said[group]
        for at, word in enumerate(text):
            if word in names:
                near = text[at + 1 : at + 1 + BEHIND]
                found = next((w for w in near if w not in stop_words() and w not in GENERAL and w not in names), None)
                if found and found.isalpha() and (found in counts or len(counts) < MOST_WORDS):
                    counts[found] += 1

    def sections(self) -> list[Section]:
        rows: dict[str, dict[str, Value]] = {
            group.replace("_", " "): {
                "rows": self._mentions[group],
                "share": share(self._mentions[group], self._rows),
                "in captions": share(self._captions[group], self._rows),
                "not in the caption": share(self._added[group], self._mentions[group]),
                "words that follow": ", ".join(word for word, _ in self._said[group].most_common(SAID)),
            }
            for group in _groups()
        }
        note = (
            "Rows whose question or answer speaks of a group; of these, the share whose caption does not. Boys and "
            "girls are counted as children, too."
        )
        shares = frozenset({"share", "in captions", "not in the caption"})
        return [Section("people", "How people are spoken of", rows, shares, note)]
