"""The word tables of the package: how every sound is named, described and answered to, and what source labels mean.

`phrases.tsv` has one row per sound, `labels.tsv` one row per label of the recordings, `held_out.txt` one key per line
for sounds that training must never name or hear, `duplicates.tsv` the files that hold the recording of another file.
All four travel with the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from mellow.errors import DataError

__all__ = [
    "CATEGORIES",
    "HELD_OUT",
    "Kind",
    "LabelTable",
    "Sound",
    "duplicates",
    "labels",
    "parse_keys",
    "parse_labels",
    "parse_sounds",
    "sounds",
]

Kind = Literal["event", "background"]
LabelTable = dict[tuple[str, str], tuple[tuple[str, ...], Kind]]

SOUND_COLUMNS = ("index", "key", "name", "noun", "verbs", "category", "character", "place", "action")
LABEL_COLUMNS = ("source", "label", "keys", "kind")
DUPLICATE_COLUMNS = ("path", "follows")
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


@cache
def labels() -> LabelTable:
    """(source, label) of the manifest -> (keys best first, kind). Raises DataError naming the line that is wrong."""
    return parse_labels(_read("labels.tsv"), frozenset(sounds()), where="labels.tsv")


@cache
def duplicates() -> dict[str, str]:
    """Path of a manifest's file -> path of the file with the same recording, whose split it follows.

    Found by cross-correlation of files with a common key: noise-of-life holds recordings of ESC-50.
    """
    return {path: follows for _, (path, follows) in _rows(_read("duplicates.tsv"), DUPLICATE_COLUMNS, "duplicates.tsv")}


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


def parse_labels(text: str, known: frozenset[str], *, where: str) -> LabelTable:
    """Read a label table whose keys (separated by commas) must all be `known`; `where` is what messages call it."""
    found: LabelTable = {}
    for place, (source, label, keys, kind) in _rows(text, LABEL_COLUMNS, where):
        names = tuple(dict.fromkeys(key.strip() for key in keys.split(",") if key.strip()))
        if not names:
            raise DataError(f"{place}: no key; name at least one, or remove the row")
        if unknown := [name for name in names if name not in known]:
            raise DataError(f"{place}: {unknown[0]!r} is no key of phrases.tsv; correct it or add the sound")
        if kind not in ("event", "background"):
            raise DataError(f"{place}: {kind!r} is no kind; use 'event' or 'background'")
        if (source, label) in found:
            raise DataError(f"{place}: the label {label!r} of {source!r} appears twice; keep one row")
        found[source, label] = (names, cast(Kind, kind))
    return found


def parse_keys(text: str) -> frozenset[str]:
    """One key per line; `#` starts a comment."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


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


HELD_OUT: frozenset[str] = parse_keys(_read("held_out.txt"))
