"""One clip's pairs by type and kind, as in Tables 10, 11, 16 and 17."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mellow.data.measures.base import clip_name, family_of
from mellow.data.records import Record
from mellow.data.statistics import KINDS, type_of
from mellow.errors import DataError

__all__ = ["ClipPairs", "pairs_of"]

NAMED = 5  # clips that a message names


@dataclass
class ClipPairs:
    """What data sets hold about a clip: its captions, and its pairs by type and kind, in the order of the files."""

    captions: dict[str, None] = field(default_factory=dict)  # in order, each once
    pairs: dict[tuple[str, str], list[Record]] = field(default_factory=dict)

    def ordered(self) -> Iterator[tuple[str, str, list[Record]]]:
        """Type, kind and pairs: multiple choice before detailed pairs, within them the types in order."""
        order = {kind: place for place, kind in enumerate(KINDS)}
        for type_, kind in sorted(self.pairs, key=lambda key: (order.get(key[1], len(order)), key[1], key[0])):
            yield type_, KINDS.get(kind, kind), self.pairs[type_, kind]


def pairs_of(clip: str, records: Iterable[tuple[str, Record]]) -> ClipPairs:
    """Collect what is said about a clip, whatever the directory and the ending of its file.

    records: with what they are called where their provenance tells no type.
    Raises DataError, with some names that are there, where no record is about the clip.
    """
    wanted, found = clip_name(clip), ClipPairs()
    others: dict[str, None] = {}
    for otherwise, record in records:
        names = [clip_name(path) for path in record.audio]
        if wanted in names:
            if len(names) == 1:  # two clips have a caption each
                found.captions.update(dict.fromkeys(record.captions))
            kind = record.task if record.task in KINDS else family_of(record)
            found.pairs.setdefault((type_of(record, otherwise), kind), []).append(record)
        elif names and len(others) < NAMED:
            others.update(dict.fromkeys(names[:1]))
    if not found.pairs:
        known = f"; there are, for example, {', '.join(others)}" if others else ""
        raise DataError(f"No record is about the clip {clip!r}{known}.")
    return found
