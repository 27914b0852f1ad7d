"""Which recordings there are, what is surely in each, and who may learn from it."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mellow.data.scenes import phrases
from mellow.data.scenes.scene import Recording
from mellow.errors import DataError

__all__ = ["read_manifest", "take_group"]

log = logging.getLogger(__name__)

ESC_SOURCES = frozenset({"esc50_16k", "esc10_44k"})
ESC_DEVELOPMENT_FOLD = 4
DEVELOPMENT_PERCENT = 10
BLOCK = 10  # numbered files of noise-of-life that count as one recording: neighbours were cut from one original
COLUMNS = ("path", "source", "label", "fold", "duration_s", "origin")

FREESOUND_ID = re.compile(r"^(?:\d-)?(\d{4,6})(?:-[A-Z]|__)")  # ESC: fold-id-take; others: id__author__title
SPEAKER = re.compile(r"^([0-9a-f]{8})_nohash_\d+$")  # speech commands: speaker_nohash_take
NUMBERED = re.compile(r"^(.*?)(\d{3})$")  # noise-of-life: name-001
TAKE_MARK = re.compile(
    r"(?:[\W_]+(?:[a-g]#?\d?|\d+[a-d]?)|\d+[a-d]?|[\W_]+(?:hard|soft|loud|med)|[\W_]+)$", re.IGNORECASE
)


def read_manifest(path: Path) -> list[Recording]:
    """Read `manifest.jsonl`: every recording whose label is in `labels.tsv`, by path; logs how many are left out.

    Splits. A recording with any sound of HELD_OUT is "held_out". Otherwise all files of one take group (see
    `take_group`) share a split: "development" for ESC fold 4 (folds keep the takes of one Freesound recording together)
    and for one group in ten elsewhere, by CRC-32 of its name; else "train". A development group outside ESC returns to
    training when it would leave one of its sounds without any training recording: development asks for new recordings
    of known sounds, HELD_OUT is for unknown ones. Last, a file of `duplicates.tsv` follows the file it is a copy of.
    Raises DataError for an unreadable manifest or row, naming the line.
    """
    rows = _rows(path)
    table = phrases.labels()
    known = [row for row in rows if (row["source"], row["label"]) in table]
    if left_out := len(rows) - len(known):
        log.info("%d of %d recordings of %s are left out: their labels have no sound.", left_out, len(rows), path)
    splits = _splits(known)
    recordings = []
    for row in known:
        keys, kind = table[row["source"], row["label"]]
        split = splits[row["path"]]
        recordings.append(Recording(row["path"], row["source"], keys, kind, split, float(row["duration_s"])))
    return sorted(recordings, key=lambda recording: recording.path)


def take_group(source: str, label: str, origin: str) -> str:
    """Name the group of files that stem from one recording or one object, so that no split can cut through it.

    - A Freesound number in the file name (ESC-50, ESC-10, Noixer) is the recording, whatever the source: two numbers
      occur in both ESC sources.
    - Speech commands: the speaker.
    - noise-of-life: blocks of ten consecutive numbers of a label, as neighbours sound alike.
    - Keystrokes: the file (one key of one keyboard each).
    - Elsewhere (Berklee, game sounds, ...): the object, which is the folder and file name less trailing take numbers,
      take letters, note names and loudness: bell1, bell_1a and bell_2 are one group, bamboo_a#4_1 and bamboo_c3_2 too.
    """
    folder, _, file = origin.rpartition("/")
    stem = file.rsplit(".", 1)[0]
    if found := FREESOUND_ID.match(stem):
        return f"freesound/{found[1]}"
    if found := SPEAKER.match(stem):
        return f"{source}/speaker/{found[1]}"
    if source == "noise_of_life" and (found := NUMBERED.match(stem)):
        return f"{source}/{label}/{int(found[2]) // BLOCK}"
    if source == "keystrokes_zoom":
        return f"{source}/{stem}"
    return f"{source}/{folder}/{_object(stem)}"


def _object(stem: str) -> str:
    """Take marks off the end of a file name, as long as two letters remain."""
    name = stem
    while (shorter := TAKE_MARK.sub("", name)) != name and len(shorter) >= 2:
        name = shorter
    return re.sub(r"[\W_]+", "", name).lower()


def _group(row: dict[str, Any]) -> str:
    return take_group(row["source"], row["label"], row["origin"])


def _splits(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Path -> split."""
    table = phrases.labels()
    keys_of = {row["path"]: frozenset(table[row["source"], row["label"]][0]) for row in rows}
    splits = {path: "held_out" for path, keys in keys_of.items() if keys & phrases.HELD_OUT}
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["path"] not in splits:
            groups[_group(row)].append(row)
    split_of = {name: _split(name, members) for name, members in groups.items()}
    sounds_of = {name: frozenset().union(*(keys_of[row["path"]] for row in rows)) for name, rows in groups.items()}
    trained = set().union(*(sounds_of[name] for name, split in split_of.items() if split == "train"))
    for name in sorted(groups):
        is_esc = any(row["source"] in ESC_SOURCES for row in groups[name])
        if split_of[name] == "development" and not is_esc and not sounds_of[name] <= trained:
            split_of[name] = "train"
            trained |= sounds_of[name]
    splits |= {row["path"]: split_of[name] for name, members in groups.items() for row in members}
    followed = {
        path: splits[other] for path, other in phrases.duplicates().items() if path in splits and other in splits
    }
    return splits | {path: split for path, split in followed.items() if splits[path] != "held_out"}


def _split(name: str, members: list[dict[str, Any]]) -> str:
    folds = [row["fold"] for row in members if row["source"] in ESC_SOURCES]
    if folds:
        return "development" if ESC_DEVELOPMENT_FOLD in folds else "train"
    return "development" if zlib.crc32(name.encode()) % 100 < DEVELOPMENT_PERCENT else "train"


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"The manifest {path} cannot be read ({error.strerror}); name a manifest.jsonl") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg}); mend or remove the line") from error
        if not isinstance(row, dict) or (missing := [name for name in COLUMNS if name not in row]):
            what = f"no {missing[0]!r}" if isinstance(row, dict) else "not an object"
            raise DataError(f"{path}, line {number}: {what}; a row needs {', '.join(COLUMNS)}")
        rows.append(row)
    return rows
