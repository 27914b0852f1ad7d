"""Which recordings there are, what is surely in each, and who may learn from it."""

from __future__ import annotations

import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mellow.data.json_line import json_object
from mellow.data.scenes.labels import Kind, Labelling, check_keys, kind_of, some, split_keys
from mellow.data.scenes.scene import Recording
from mellow.errors import DataError

__all__ = ["read_recordings", "recordings_folder", "take_group"]

log = logging.getLogger(__name__)

ESC_SOURCES = frozenset({"esc50_16k", "esc10_44k"})
ESC_DEVELOPMENT_FOLD = 4
DEVELOPMENT_PERCENT = 10
BLOCK = 10  # numbered files of noise-of-life that count as one recording: neighbours were cut from one original
AUDIO = {".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".oga", ".ogg"}
AUDIO |= {".opus", ".wav", ".webm", ".wma"}

Row = Mapping[str, Any]
Meaning = tuple[tuple[str, ...], Kind]

FREESOUND_ID = re.compile(r"^(?:\d-)?(\d{4,6})(?:-[A-Z]|__)")  # ESC: fold-id-take; others: id__author__title
SPEAKER = re.compile(r"^([0-9a-f]{8})_nohash_\d+$")  # speech commands: speaker_nohash_take
NUMBERED = re.compile(r"^(.*?)(\d{3})$")  # noise-of-life: name-001
TAKE_MARK = re.compile(
    r"(?:[\W_]+(?:[a-g]#?\d?|\d+[a-d]?)|\d+[a-d]?|[\W_]+(?:hard|soft|loud|med)|[\W_]+)$", re.IGNORECASE
)


def recordings_folder(path: Path) -> Path:
    """The folder to which the paths of recordings are relative: the manifest's, or the one that was named."""
    return path if path.is_dir() else path.parent


def read_recordings(path: Path, labelling: Labelling | None = None) -> list[Recording]:
    """Every recording whose sounds are known, by path; what is left out is counted and logged.

    path: a manifest with one JSON object per line, or a folder that has a folder of recordings for each label.
        A row of a manifest has `path`, relative to it, and `label` or `keys` (of the sound table); and, where they are
        known, `source`, `kind`, `origin` (the file it was made from), `group` (takes of one recording) and `fold`.

    Splits. A recording with any sound of `labelling.held_out` is "held_out". Otherwise all files of one take group (see
    `take_group`) share a split: "development" for ESC fold 4 (folds keep the takes of one Freesound recording together)
    and for one group in ten elsewhere, by CRC-32 of its name; else "train". A development group outside ESC returns to
    training when it would leave one of its sounds without any training recording: development asks for new recordings
    of known sounds, held-out sounds are for unknown ones. Last, a duplicate follows the file it is a copy of.
    Raises DataError for an unreadable manifest or row, unknown keys, or where no recording's sounds are known.
    """
    labelling = labelling or Labelling()
    rows = _folder_rows(path) if path.is_dir() else _rows(path)
    meanings = {row["path"]: _meaning(row, labelling, f"{path}, {row['path']}") for row in rows}
    check_keys((key for meaning in meanings.values() if meaning for key in meaning[0]), where=str(path))
    known = [row for row in rows if meanings[row["path"]]]
    _tell(rows, {name for name, meaning in meanings.items() if meaning is None}, labelling, str(path))
    sounds = {name: meaning for name, meaning in meanings.items() if meaning}
    splits = _splits(known, {name: frozenset(keys) for name, (keys, _) in sounds.items()}, labelling)
    recordings = [Recording(name, *sounds[name], splits[name]) for name in sounds]
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


def _group(row: Row) -> str:
    if row.get("group"):
        return f"group/{row['group']}"
    return take_group(row.get("source") or "", row.get("label") or "", row.get("origin") or row["path"])


def _splits(rows: Sequence[Row], keys_of: Mapping[str, Collection[str]], labelling: Labelling) -> dict[str, str]:
    """Path -> split."""
    splits = {path: "held_out" for path, keys in keys_of.items() if labelling.held_out.intersection(keys)}
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["path"] not in splits:
            groups[_group(row)].append(row)
    split_of = {name: _split(name, members) for name, members in groups.items()}
    sounds_of = {name: frozenset().union(*(keys_of[row["path"]] for row in rows)) for name, rows in groups.items()}
    trained = set().union(*(sounds_of[name] for name, split in split_of.items() if split == "train"))
    for name in sorted(groups):
        is_esc = any(row.get("source") in ESC_SOURCES for row in groups[name])
        if split_of[name] == "development" and not is_esc and not sounds_of[name] <= trained:
            split_of[name] = "train"
            trained |= sounds_of[name]
    splits |= {row["path"]: split_of[name] for name, members in groups.items() for row in members}
    followed = {
        path: splits[other] for path, other in labelling.duplicates.items() if path in splits and other in splits
    }
    return splits | {path: split for path, split in followed.items() if splits[path] != "held_out"}


def _split(name: str, members: Sequence[Row]) -> str:
    folds = [row.get("fold") for row in members if row.get("source") in ESC_SOURCES]
    if folds:
        return "development" if ESC_DEVELOPMENT_FOLD in folds else "train"
    return "development" if zlib.crc32(name.encode()) % 100 < DEVELOPMENT_PERCENT else "train"


# --- rows -------------------------------------------------------------------------------------------------------------


def _meaning(row: Row, labelling: Labelling, place: str) -> Meaning | None:
    """Keys and kind of a recording: those of its row, else those of its label; None where neither tells them."""
    given = row.get("keys")
    keys = split_keys(given if isinstance(given, str) else ",".join(map(str, given or ())))
    if keys:
        return keys, kind_of(row.get("kind") or "", place)
    return labelling.meaning(row.get("source") or "", row.get("label") or "")


def _tell(rows: Sequence[Row], unknown: Collection[str], labelling: Labelling, where: str) -> None:
    """Log which labels the table leaves out; DataError where it leaves none in, or where there is no table."""
    names = some(sorted({row["label"] for row in rows if row["path"] in unknown and row.get("label")}))
    if not rows:
        raise DataError(f"{where} has no recordings; name a manifest, or a folder with a folder for each label.")
    if unknown and labelling.labels is None:
        raise DataError(
            f"Nothing tells which sounds {len(unknown)} of the {len(rows)} recordings of {where} hold; name a table of "
            f"labels (--labels){f' for {names}' if names else ''}, or give each row of the manifest its keys."
        )
    if len(unknown) == len(rows):
        raise DataError(f"The table of labels has none of the labels of {where}: {names or 'its rows have none'}.")
    if unknown:
        text = "%d of %d recordings of %s are left out, as the table of labels lacks %s."
        log.warning(text, len(unknown), len(rows), where, names or "their labels")


def _folder_rows(folder: Path) -> list[Row]:
    """A row for each recording in a folder of folders, which are named by their labels."""
    rows: list[Row] = []
    for path in sorted(folder.glob("*/**/*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in AUDIO and not any(part.startswith(".") for part in inside.parts) and path.is_file():
            rows.append({"path": inside.as_posix(), "label": inside.parts[0]})
    return rows


def _rows(path: Path) -> list[Row]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"The manifest {path} cannot be read ({error.strerror}); name a manifest.jsonl.") from error
    except UnicodeDecodeError:
        raise DataError(f"The manifest {path} is not UTF-8 text; name a manifest.jsonl.") from None
    return list(_checked(lines, str(path)))


def _checked(lines: Sequence[str], where: str) -> Iterator[Row]:
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        place = f"{where}, line {number}"
        if not line.strip():
            continue
        row = json_object(line, where=place, needs="a row needs path, and label or keys")
        if not isinstance(row.get("path"), str) or not row["path"]:
            raise DataError(f"{place}: no 'path'; a row needs path, and label or keys.")
        if row["path"] in seen:
            raise DataError(f"{place}: the recording {row['path']!r} appears twice; keep one row.")
        for name in ("source", "label", "kind", "origin"):
            if not isinstance(row.get(name) or "", str):
                raise DataError(f"{place}: the field {name!r} is no text; write a string.")
        if not isinstance(row.get("keys") or "", (str, list)):
            raise DataError(f"{place}: the field 'keys' is no list of texts; write a list of keys.")
        seen.add(row["path"])
        yield row
