"""WavCaps: 403 thousand clips of four collections with captions by an LLM, without those that benchmarks share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mellow.data.records import CaptionedClip, Split
from mellow.data.sources.audio import AudioRoot, clip_key, clip_path
from mellow.data.sources.json_file import json_objects
from mellow.data.sources.report import SourceReport, deliver
from mellow.data.sources.spec import spec
from mellow.data.sources.text_file import Unique, open_bytes
from mellow.errors import DataError

__all__ = ["read", "read_blacklist"]

COLLECTIONS = {"as": "AudioSet_SL", "bbc": "BBC_Sound_Effects", "fsd": "FreeSound", "sb": "SoundBible"}
UNNAMED = "wav_path"  # what the published files say in the place of a path


def read(
    path: str | Path,
    *,
    split: Split | None = None,
    audio: AudioRoot | None = None,
    report: SourceReport | None = None,
    blacklist: str | Path | frozenset[str] | None = None,
) -> Iterator[CaptionedClip]:
    """The clips of `as_final.json`, `bbc_final.json`, `fsd_final.json` or `sb_final.json`; all are for training.

    blacklist: a file of `blacklist/` or what `read_blacklist` made of it; its clips are left out and counted. Clips
    of AudioSet are known by their names, of FreeSound by their numbers; the other collections are in no blacklist.
    """
    report = report if report is not None else SourceReport()
    banned = read_blacklist(blacklist) if isinstance(blacklist, (str, Path)) else blacklist or frozenset()
    folder = COLLECTIONS.get(Path(path).name.partition("_")[0], "")
    listed = folder in ("AudioSet_SL", "FreeSound", "")
    unique = Unique(path, "id")
    for line, item in json_objects(path, key="data"):
        where = f"{path}, line {line}"
        report.rows += 1
        clip, caption = _text(item, "id", where), _text(item, "caption", where)
        unique.check(clip, line)
        if not caption.strip():
            report.left_out["empty caption"] += 1
        elif listed and clip_key(clip) in banned:
            report.left_out["on the blacklist"] += 1
        else:
            name = _name(item, clip, folder, where)
            licence = spec("wavcaps").licence
            made = CaptionedClip(name, (caption,), "wavcaps", split or "train", licence, _seconds(item, where))
            yield from deliver(made, audio, report)


def read_blacklist(path: str | Path) -> frozenset[str]:
    """What the names and numbers of a blacklist have in common with those of clips."""
    try:
        with open_bytes(path) as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); download it again.") from None
    if not isinstance(content, dict) or not all(isinstance(names, list) for names in content.values()):
        raise DataError(f"{path} is not a blacklist: an object with a list of names for each collection.")
    return frozenset(clip_key(str(name)) for names in content.values() for name in names)


def _name(item: dict[str, Any], clip: str, folder: str, where: str) -> str:
    """The path that the row names or, as published rows name none, the clip's number in its collection's folder."""
    named = item.get("audio")
    if isinstance(named, str) and named not in ("", UNNAMED):
        return clip_path(named, where=where)
    name = clip_path(clip, where=where)
    name = name if name.endswith((".wav", ".flac")) else f"{name}.flac"
    return "/".join(part for part in ("WavCaps", folder, name) if part)


def _text(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{where}: the field {name!r} is missing or not a text, so this is no WavCaps file.")
    return value


def _seconds(item: dict[str, Any], where: str) -> float | None:
    value = item.get("duration")
    if value is None or (isinstance(value, (int, float)) and 0 <= value < 1e7):
        return None if value is None else float(value)
    raise DataError(f"{where}: the duration {value!r} is not a number of seconds.")
