"""The sound table of the package, `phrases.tsv`: how every sound is named, described and answered to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mellow.errors import DataError

__all__ = ["CATEGORIES", "Sound", "parse_sounds", "sounds"]

SOUND_COLUMNS = ("index", "key", "name", "noun", "verbs", "category", "character", "place", "action")
CLASS_COUNT = 527  # classes of AudioSet, whose order the CED encoder's scores follow
CATEGORIES = frozenset(
    {
        "animal", "bird", "insect", "human voice", "human body", "human action", "crowd", "music instrument", "music",
        "vehicle", "engine", "machine", "tool", "household", "kitchen", "alarm", "bell", "weather", "water", "nature",
        "fire", "impact", "explosion", "electronic", "door", "noise", "place",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Sound:
    """How one kind of sound is spoken of.

    key: identifier in all our files, snake_case.
    name: what a person would call it, without article ("dog").
    noun: as in "I can hear ..." ("a dog barking").
    verbs: clauses with subject and verb ("a dog barks").
    category: one of CATEGORIES.
    character: how it sounds, without naming the source.
    place: where it is heard, with preposition ("in a backyard").
    action: what a listener should sensibly do, an imperative clause.
    index: AudioSet class 0..526, or None for a sound that AudioSet does not have.
    """

    key: str
    name: str
    noun: str
    verbs: tuple[str, ...]
    category: str
    character: str
    place: str
    action: str
    index: int | None


@cache
def sounds() -> dict[str, Sound]:
    """All sounds of `phrases.tsv` by key, in file order. Raises DataError naming the line that is wrong."""
    return parse_sounds(_read("phrases.tsv"), where="phrases.tsv")


def parse_sounds(text: str, *, where: str) -> dict[str, Sound]:
    """Read a phrase table; `where` is what messages call it."""
    found: dict[str, Sound] = {}
    names: dict[str, str] = {}
    for place, cells in _rows(text, SOUND_COLUMNS, where):
        sound = _sound(cells, place)
        if sound.key in found:
            raise DataError(f"{place}: the key {sound.key!r} appears twice; keep one row")
        if sound.name in names:
            raise DataError(f"{place}: the name {sound.name!r} is that of {names[sound.name]!r} too; rename one")
        found[sound.key] = sound
        names[sound.name] = sound.key
    return found


def _sound(cells: list[str], place: str) -> Sound:
    index, key, name, noun, verbs, category, character, where_heard, action = cells
    if not all(cells[1:]):
        empty = SOUND_COLUMNS[1:][cells[1:].index("")]
        raise DataError(f"{place}: the column {empty!r} is empty; fill it")
    if category not in CATEGORIES:
        raise DataError(f"{place}: {category!r} is no category; use one of {', '.join(sorted(CATEGORIES))}")
    if index and not (index.isdecimal() and int(index) < CLASS_COUNT):
        raise DataError(f"{place}: the index {index!r} is no AudioSet class; use 0 to {CLASS_COUNT - 1} or nothing")
    clauses = tuple(clause.strip() for clause in verbs.split("|") if clause.strip())
    return Sound(key, name, noun, clauses, category, character, where_heard, action, int(index) if index else None)


def _rows(text: str, columns: tuple[str, ...], where: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (place for messages, cells) of each row after the header."""
    lines = text.split("\n")
    if tuple(lines[0].split("\t")) != columns:
        raise DataError(f"{where}, line 1: the header must be the tab-separated columns {' '.join(columns)}")
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(columns):
            raise DataError(f"{place}: {len(cells)} columns instead of {len(columns)}; separate them by single tabs")
        yield place, cells


def _read(name: str) -> str:
    resource = files("mellow.data.scenes") / name
    if not resource.is_file():
        raise DataError(f"The table {name} is missing from the package mellow.data.scenes; reinstall mellow")
    return resource.read_text(encoding="utf-8")
