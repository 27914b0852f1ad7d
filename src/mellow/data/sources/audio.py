"""The folder that holds the clips: finding them by the names that tables give, which are seldom the names on disk."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import cached_property
from pathlib import Path

import soundfile

from mellow.data.records import Split
from mellow.data.sources.spec import SPLIT_WORDS
from mellow.errors import DataError

__all__ = ["AudioRoot", "clip_key", "clip_path"]

EXTENSIONS = {
    "aac", "ac3", "aif", "aiff", "amr", "au", "flac", "m4a", "mp3", "mp4", "oga", "ogg", "opus", "wav", "webm", "wma",
}  # fmt: skip
YOUTUBE = re.compile(r"Y[\w-]{11}", re.ASCII)
DRIVE = re.compile(r"[A-Za-z]:")


def clip_path(name: str, *, where: str) -> str:
    """A table's path with forward slashes and without a drive or root; DataError where it climbs out with `..`."""
    path = DRIVE.sub("", name.replace("\\", "/"), count=1) if DRIVE.match(name) else name.replace("\\", "/")
    path = path.lstrip("/")
    if ".." in path.split("/"):
        raise DataError(f"{where}: the audio path {name!r} leads out of the data set; remove its '..'.")
    return path


def clip_key(name: str) -> str:
    """What names of one clip have in common, whatever their folder, extension, `Y` prefix, outer blanks or accents.

    A blank before the extension counts: Clotho has a `Knocking.wav` and a `Knocking .wav`, of different splits.
    """
    base = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2]).strip()
    stem, _, extension = base.rpartition(".")
    if stem and extension.lower() in EXTENSIONS:
        base = stem
    return base[1:] if YOUTUBE.fullmatch(base) else base


def _folders(path: str) -> list[str]:
    return path.lower().split("/")[:-1]


def _split(path: str) -> Split | None:
    """The split that the innermost folder with such a name tells."""
    return next((SPLIT_WORDS[name] for name in reversed(_folders(path)) if name in SPLIT_WORDS), None)


class AudioRoot:
    """A folder with clips in any subfolders, listed once, when the first clip is looked for.

    keep_absent: whether rows whose clip is not there are yielded all the same; they are counted either way.
    measure: whether the length of each clip is read from its header.
    """

    def __init__(self, root: str | Path, *, keep_absent: bool = True, measure: bool = False) -> None:
        self.root = Path(root)
        self.keep_absent = keep_absent
        self.measure = measure
        if not self.root.is_dir():
            raise DataError(f"The audio folder {str(root)!r} is not there; name the folder that holds the clips.")

    @cached_property
    def by_key(self) -> dict[str, tuple[str, ...]]:
        """Paths below the root, with forward slashes, by what their names have in common."""
        found: dict[str, list[str]] = {}
        seen: set[str] = set()
        for folder, folders, names in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link that leads back
                folders.clear()
                continue
            seen.add(real)
            below = Path(folder).relative_to(self.root)
            for name in names:
                if name.rpartition(".")[2].lower() in EXTENSIONS:
                    found.setdefault(clip_key(name), []).append((below / name).as_posix())
        return {key: tuple(sorted(paths)) for key, paths in found.items()}

    def find(self, name: str) -> str | None:
        """Where a clip lies below the root, or None; of several, the one whose folders are most like those named.

        Clotho has clips of one name in two splits: a clip in the folder of another split is not the one, and where
        the folders do not tell which of two it is, neither is.
        """
        wanted = name.replace("\\", "/")
        split = _split(wanted)
        paths = [path for path in self.by_key.get(clip_key(name), ()) if len({split, _split(path)} - {None}) < 2]
        if wanted in paths:
            return wanted
        shared = [len(set(_folders(wanted)) & set(_folders(path))) for path in paths]
        best = [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]
        return min(best) if len({_split(path) for path in best}) == 1 else None

    def seconds(self, path: str) -> float | None:
        """The length that a clip's header tells, or None where libsndfile cannot read it."""
        try:
            return float(soundfile.info(self.root / path).duration)
        except (OSError, RuntimeError):
            return None
