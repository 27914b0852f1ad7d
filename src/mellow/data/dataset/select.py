"""Which records of the sources a recipe takes, each of the others with the reason."""

from __future__ import annotations

from collections.abc import Collection

from mellow.data.dataset.inputs import read_clip_list
from mellow.data.dataset.recipe import MIXTURES, DatasetRecipe
from mellow.data.records import Record
from mellow.data.sources.audio import clip_key
from mellow.data.sources.report import ABSENT
from mellow.data.tally import key_of
from mellow.errors import DataError

__all__ = ["Selection", "row_of"]

ALL = 1 << 64
TIERED = ("ACD", "CLD")


def row_of(record: Record) -> str:
    """The row of Table 1 that a record is counted in; further rows are named by source and task."""
    stem = record.subtype.removesuffix(".json")
    if stem.rpartition("-")[0] in TIERED:
        return stem.rpartition("-")[0]
    return stem or f"{record.source or 'other'}: {record.task}"


class Selection:
    """Says of records, one after the other, why they are not taken.

    Of what was seen only 8 bytes per synthetic pair are kept, and only for `mixture: type4`.
    """

    def __init__(self, recipe: DatasetRecipe) -> None:
        self._recipe = recipe
        self._types = MIXTURES.get(recipe.mixture)
        self._lists = {split: read_clip_list(path) for split, path in recipe.clips.items()}
        self._asked: set[int] = set()

    def not_chosen(self, record: Record) -> str | None:
        """Why the recipe does not ask for this record; such records are counted only."""
        stem, row, recipe = record.subtype.removesuffix(".json"), row_of(record), self._recipe
        if recipe.subtypes and not {stem, row}.intersection(recipe.subtypes):
            return "not among the subtypes"
        kind = record.provenance.get("type")
        if self._types is not None and kind is not None and str(kind) not in self._types:
            return "type not in the mixture"
        wanted = self._lists.get(record.split)
        if wanted is not None and not wanted.issuperset(map(clip_key, record.audio)):
            return "clip not in the list"
        share = recipe.shares.get(stem, recipe.shares.get(row, 1.0))
        if share < 1 and key_of(str(recipe.seed), record.id) >= share * ALL:
            return "beyond the share"
        return None

    def fault(self, record: Record, absent: Collection[str]) -> str | None:
        """Why a chosen record cannot be taken; DataError where the recipe requires a clip that is absent."""
        missing = [name for name in record.audio if name in absent] if self._recipe.absent_audio != "keep" else []
        if missing and self._recipe.absent_audio == "require":
            raise DataError(
                f"The clip {missing[0]} is not below {self._recipe.audio_root!r}; "
                "put it there, or set absent_audio: count."
            )
        if missing:
            return ABSENT
        if self._recipe.mixture == "type4" and "type" in record.provenance:
            question = " ".join(record.question.casefold().split())
            key = key_of(*(record.audio or record.captions), question)
            if key in self._asked:
                return "question repeated about the clip"
            self._asked.add(key)
        return None
