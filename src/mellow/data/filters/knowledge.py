"""Questions that can be answered without listening, by rule: from the world, or from what the question itself tells."""

from __future__ import annotations

from mellow.data.filters.base import SYNTHETIC, pattern
from mellow.data.records import Record
from mellow.data.wording import roots, stem_of

__all__ = ["tells_the_caption", "world_knowledge"]

TOLD = 0.75  # share of a caption's content words in a question
LEAST_WORDS = 3  # of a caption, below which nothing can be said


def world_knowledge(record: Record) -> str | None:
    """The question is about the world: Table 12's "What kind of sound is sizzling?"."""
    if record.task not in SYNTHETIC:
        return None
    stem = stem_of(record).lower().strip(" ?.").replace("’", "'")
    match = pattern("world_knowledge_always").search(stem)
    if match is None and not pattern("clip").search(stem):
        match = pattern("world_knowledge").search(stem)
    return f"the question is about the world, not the recording ({match[0]!r})" if match else None


def tells_the_caption(record: Record) -> str | None:
    """The question tells nearly all that the caption does, so that nothing is left to listen for."""
    if record.task not in SYNTHETIC:
        return None
    asked = roots(stem_of(record))
    for caption in record.captions:
        told = roots(caption)
        if len(told) >= LEAST_WORDS and len(told & asked) >= TOLD * len(told):
            return f"the question tells the caption ({len(told & asked)} of its {len(told)} words)"
    return None
