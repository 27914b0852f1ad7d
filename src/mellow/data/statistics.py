"""Counts of words as the paper makes them (Tables 9 and 15, Fig. 6 and 9), and plainly."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from mellow.data.records import Record
from mellow.data.section import Section, Value
from mellow.data.wording import content_words, lettered, options_of, stem_of, without_letter, words

__all__ = ["KINDS", "Statistics", "audio_words", "type_of"]

Part = Literal["question", "answer"]
KINDS = {"mcq": "MCQ", "detail": "Detail"}
PARTS: tuple[Part, ...] = ("question", "answer")
FREQUENT = 10  # words of a group that Fig. 6 shows
APART = 25  # words that Fig. 9 shows
LEAST = 5  # how often a word occurs that one type is said to have
OVERALL = "overall"


@cache
def audio_words() -> Mapping[str, frozenset[str]]:
    """The three groups of Fig. 6."""
    table = tomllib.loads(files("mellow.data").joinpath("audio_words.toml").read_text(encoding="utf-8"))
    return {group: frozenset(listed) for group, listed in table.items()}


def type_of(record: Record, otherwise: str = "") -> str:
    """How a pair was made (`Type 1`), as its provenance tells."""
    told = str(record.provenance.get("type", "")) or otherwise
    return f"Type {told}" if told.isdigit() else told


class Statistics:
    """Counts pairs and words by type, kind and source; memory grows with the vocabulary only."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[str, str, str]] = Counter()
        self._lengths: Counter[tuple[str, str, str, Part, bool]] = Counter()
        self._words: dict[tuple[str, str, str, Part], Counter[str]] = defaultdict(Counter)
        self._stops: dict[tuple[str, str, str, Part], set[str]] = defaultdict(set)

    def observe(self, record: Record, otherwise: str = "") -> None:
        """Count a pair; `otherwise` names its type where its provenance tells none."""
        group = (type_of(record, otherwise), record.task, record.source)
        self._pairs[group] += 1
        whole = (record.question, record.answer)
        for part, text, written in zip(PARTS, _texts(record), whole, strict=True):
            said, plain = content_words(text), words(written)
            self._lengths[(*group, part, True)] += len(said)
            self._lengths[(*group, part, False)] += len(plain)
            self._words[(*group, part)].update(said)
            self._stops[(*group, part)].update(set(plain) - set(said))

    @property
    def types(self) -> list[str]:
        """In order of their names."""
        return sorted({group[0] for group in self._pairs})

    @property
    def kinds(self) -> list[str]:
        """Multiple choice and detailed pairs first, then the other families."""
        return sorted({group[1] for group in self._pairs}, key=lambda kind: (kind not in KINDS, kind != "mcq", kind))

    def counts(self, type_: str, kind: str, part: Part) -> Counter[str]:
        """How often each word that is no stop word occurs."""
        total: Counter[str] = Counter()
        for (one, other, _, where), counts in self._words.items():
            if (one, other, where) == (type_, kind, part):
                total.update(counts)
        return total

    def sections(self) -> list[Section]:
        """Table 9 (15 with several types) twice, the words of Fig. 6, and of Fig. 9 for all types but the first."""
        made = [self._table(plainly=False), self._table(plainly=True), self._audio()]
        return made + [self.apart(self.types[0], other) for other in self.types[1:]]

    def _table(self, *, plainly: bool) -> Section:
        rows: dict[str, dict[str, Value]] = {}
        for type_ in self.types:
            for kind in self.kinds:
                groups = sorted(group for group in self._pairs if group[:2] == (type_, kind))
                for name, chosen in [*((group[2], [group]) for group in groups), (OVERALL, groups)]:
                    if chosen and (len(groups) > 1 or name == OVERALL):
                        title = " ".join(filter(None, (type_, KINDS.get(kind, kind), name or "(source not told)")))
                        rows[title] = self._row(chosen, plainly)
        note = "Stop words and the letters of options are left out; the options are part of a question."
        note = "Whatever stands there counts, the letters of options included." if plainly else note
        title = "Words, counted plainly" if plainly else "Words, counted as in Tables 9 and 15"
        return Section("words_plainly" if plainly else "words", title, rows, note=note)

    def _row(self, groups: Iterable[tuple[str, str, str]], plainly: bool) -> dict[str, Value]:
        groups = list(groups)
        pairs = sum(self._pairs[group] for group in groups)
        row: dict[str, Value] = {"pairs": pairs}
        for part in PARTS:
            length = sum(self._lengths[(*group, part, not plainly)] for group in groups)
            known: set[str] = set().union(*(self._words[(*group, part)] for group in groups))
            if plainly:
                known = known.union(*(self._stops[(*group, part)] for group in groups))
            row |= {f"{part}: words": round(length / pairs, 2), f"{part}: vocabulary": len(known)}
        return row

    def _audio(self) -> Section:
        rows: dict[str, dict[str, Value]] = {}
        for type_ in self.types:
            for kind in self.kinds:
                for part in PARTS:
                    counts = self.counts(type_, kind, part)
                    name = " ".join(filter(None, (type_, KINDS.get(kind, kind), part)))
                    if counts:
                        rows[name] = {group: _frequent(counts, listed) for group, listed in audio_words().items()}
        note = "The most frequent words of the three groups (`audio_words.toml`), with how often they occur."
        return Section("audio_words", "Audio words (Fig. 6)", rows, note=note)

    def apart(self, first: str, other: str) -> Section:
        """Words that the second type has and the first lacks, and words that it has more often (Fig. 9)."""
        rows: dict[str, dict[str, Value]] = {}
        for kind in self.kinds:
            for part in PARTS:
                lacking, more = words_apart(self.counts(first, kind, part), self.counts(other, kind, part))
                if lacking or more:
                    rows[f"{KINDS.get(kind, kind)} {part}"] = {
                        f"only in {other}": _listed(lacking),
                        f"more often in {other}": ", ".join(f"{word} x{times:.1f}" for word, times in more),
                    }
        note = f"Words that occur {LEAST} times or more in {other}, never in {first}; and those whose share grew most."
        return Section(f"apart_{other}", f"Words of {other} beside {first} (Fig. 9)", rows, note=note)


def words_apart(
    first: Counter[str], other: Counter[str], most: int = APART
) -> tuple[list[tuple[str, int]], list[tuple[str, float]]]:
    """Words that only the other has, with their counts; and words of both by how many points their share grew.

    The second list holds, per word, the factor by which its share is larger.
    """
    if not first or not other:
        return [], []
    lacking = [(word, count) for word, count in _ordered(other) if word not in first and count >= LEAST]
    shares = {word: (count / other.total(), first[word] / first.total()) for word, count in other.items()}
    grown = [(word, now, before) for word, (now, before) in shares.items() if now > before > 0 and other[word] >= LEAST]
    grown.sort(key=lambda item: (item[2] - item[1], item[0]))
    return lacking[:most], [(word, now / before) for word, now, before in grown[:most]]


def _texts(record: Record) -> tuple[str, str]:
    """Question with its options but without their letters, and answer without its letter."""
    options = options_of(record) if record.choices or lettered(record.answer) else ()
    return " ; ".join([stem_of(record), *options]), without_letter(record.answer)


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """By count, then by name, so that equal data gives equal reports."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _frequent(counts: Counter[str], listed: frozenset[str]) -> str:
    return _listed([(word, count) for word, count in _ordered(counts) if word in listed][:FREQUENT])


def _listed(found: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in found)
