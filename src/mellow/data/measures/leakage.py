"""Leakage across splits, by the text of a data set: names of files, and captions that are equal or nearly so."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from mellow.data.measures.base import EXAMPLES, clip_name, share
from mellow.data.measures.similar import HASHES, minhash, nearest
from mellow.data.records import Record, Split
from mellow.data.section import Section, Value
from mellow.data.tally import Tally, key_of
from mellow.data.wording import words

__all__ = ["PAIRS", "Captions", "Names"]

Compared = tuple[list[tuple[int, int]], dict[str, Value]]  # keys of pairs that are nearly equal, and the numbers
Found = dict[tuple[Split, Split], Compared]
UNTOLD = "(source not told)"
PAIRS: tuple[tuple[Split, Split], ...] = (("train", "val"), ("train", "test"), ("val", "test"))


class Names:
    """Clips whose file has the same name in two splits: MMAU, ClothoAQA and Clotho do not keep each other's splits."""

    def __init__(self) -> None:
        self._clips: dict[tuple[Split, str], Tally] = defaultdict(Tally)
        self._splits: dict[Split, Tally] = defaultdict(Tally)

    def observe(self, record: Record) -> None:
        for clip in record.audio:
            key = key_of(clip_name(clip))
            self._splits[record.split].add(key)
            self._clips[record.split, record.source].add(key)

    def sections(self) -> list[Section]:
        rows: dict[str, dict[str, Value]] = {}
        for one, other in PAIRS:
            if len(self._splits[one]) and len(self._splits[other]):
                rows[f"{one} and {other}"] = _shared(self._splits[one], self._splits[other])
        for (split, source), tally in sorted(self._clips.items()):
            for (second, more_source), more in sorted(self._clips.items()):
                shared = _shared(tally, more)
                if (split, second) in PAIRS and source != more_source and shared["in both"]:
                    rows[f"{split} {source or UNTOLD} and {second} {more_source or UNTOLD}"] = shared
        note = "Clips whose file has the same name in two splits; a share is that of the second one's clips."
        return [Section("names", "Clips in two splits, by name", rows, frozenset({"share"}), note)]


def _shared(one: Tally, other: Tally) -> dict[str, Value]:
    both = len(np.intersect1d(one.counts()[0], other.counts()[0], assume_unique=True))
    return {"clips": len(other), "in both": both, "share": share(both, len(other))}


class Captions:
    """Captions of validation and test that stand in a split before theirs as well, or nearly so.

    160 bytes for each different caption.
    """

    def __init__(self) -> None:
        self._seen: dict[Split, set[int]] = defaultdict(set)
        self._signatures: dict[Split, array[int]] = defaultdict(lambda: array("I"))
        self._keys: dict[Split, array[int]] = defaultdict(lambda: array("Q"))
        self._texts: dict[int, str] = {}
        self._wanted: set[int] = set()
        self._found: Found | None = None

    def observe(self, record: Record) -> None:
        seen = self._seen[record.split]
        for caption in record.captions:
            key = key_of(*words(caption))
            if key not in seen:
                seen.add(key)
                self._keys[record.split].append(key)
                self._signatures[record.split].extend(minhash(caption).tolist())

    def finish(self) -> None:
        """Find the pairs; `look` at the records again gives their texts."""
        self._found = dict(self._compare())
        for pairs, _ in self._found.values():
            self._wanted.update(key for pair in pairs[:EXAMPLES] for key in pair)

    def _compare(self) -> Iterator[tuple[tuple[Split, Split], Compared]]:
        for one, other in PAIRS:
            if not self._keys[one] or not self._keys[other]:
                continue
            equal = len(self._seen[one] & self._seen[other])
            places = nearest(self._matrix(other), self._matrix(one))
            keys, known = self._keys[other], self._keys[one]
            pairs = [(keys[at], known[place]) for at, place in enumerate(places) if place is not None]
            pairs = [(key, same) for key, same in pairs if key not in self._seen[one]]
            row: dict[str, Value] = {"captions": len(keys), "equal": equal, "nearly": len(pairs)}
            yield (one, other), (pairs, {**row, "share": share(equal + len(pairs), len(keys))})

    def _matrix(self, split: Split) -> np.ndarray:
        return np.frombuffer(self._signatures[split], np.uint32).reshape(-1, HASHES)

    def look(self, record: Record) -> None:
        """Keep the text of a caption that is an example."""
        for caption in record.captions if self._wanted else ():
            key = key_of(*words(caption))
            if key in self._wanted:
                self._texts[key] = caption
                self._wanted.discard(key)

    def sections(self) -> list[Section]:
        if self._found is None:
            self.finish()
        found = self._found or {}
        rows = {f"{one} and {other}": row for (one, other), (_, row) in found.items()}
        told = [
            f"{self._texts[key]!r} and {self._texts[same]!r}"
            for pairs, _ in found.values()
            for key, same in pairs[:EXAMPLES]
            if key in self._texts and same in self._texts
        ]
        note = (
            "Different captions of the second split that stand in the first one as well, in the same words (equal) or "
            "with four fifths of their words and pairs of words in common (nearly; by MinHash)."
        )
        title = "Captions in two splits"
        return [Section("captions", title, rows, frozenset({"share"}), note, tuple(told[:EXAMPLES]))]
