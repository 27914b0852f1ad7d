"""Records from captioned clips: a description of one clip or of two, and whether a caption fits.

Entailment, differences and ClothoAQA's binary questions come from published tables (`data/sources`); what is made here
needs nothing but captions.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from mellow.data.captions.paraphrases import CAPTION, CAPTION_BOTH, CAPTION_FIRST, CAPTION_SECOND
from mellow.data.records import YES_NO, CaptionedClip, Record, Split
from mellow.data.wording import roots

__all__ = ["TASKS", "CaptionTask", "caption", "maker_of", "match", "pairs"]

CaptionTask = Literal["caption", "pairs", "match"]
REMEMBERED = 32  # earlier clips among which a wrong caption is looked for
SUBTYPES = {"audiocaps": "AudioCaps.json", "clotho": "Clotho.json"}

Maker = Callable[[CaptionedClip], Iterator[Record]]


def maker_of(tasks: Iterable[CaptionTask], *, seed: int) -> Maker:
    """A function from a captioned clip to its records for all these tasks; it remembers earlier clips.

    Called with equal clips in equal order, makers of equal arguments give equal records.
    """
    makers = [TASKS[task](seed) for task in tasks]

    def make(clip: CaptionedClip) -> Iterator[Record]:
        for one in makers:
            yield from one(clip)

    return make


def caption(seed: int) -> Maker:
    """A descriptive question for each caption of a clip, as the paper counts them: one clip, one caption, one pair."""

    def make(clip: CaptionedClip) -> Iterator[Record]:
        for text in clip.captions:
            yield _record(clip, CAPTION, text, (clip.audio,), (text,), subtype=SUBTYPES.get(clip.source, ""))

    return make


def pairs(seed: int) -> Maker:
    """Every second clip of a split with the one before it: the first, the second or both are to be described."""
    waiting: dict[Split, CaptionedClip] = {}

    def make(clip: CaptionedClip) -> Iterator[Record]:
        first = waiting.pop(clip.split, None)
        if first is None:
            waiting[clip.split] = clip
            return
        rng = random.Random(f"{seed} pairs {first.audio} {clip.audio}")
        one, two = rng.choice(first.captions), rng.choice(clip.captions)
        answers = {CAPTION_FIRST: one, CAPTION_SECOND: two, CAPTION_BOTH: f"Audio 1: {_end(one)} Audio 2: {_end(two)}"}
        special = rng.choice(sorted(answers))
        yield _record(clip, special, answers[special], (first.audio, clip.audio), (one, two))

    return make


def match(seed: int) -> Maker:
    """Two binary questions a clip: does one of its captions describe it (yes), does one of another clip (no).

    The other clip's captions share no content word with those of this clip; now and then one of them fits all the
    same ("a vehicle", "a car"). It is the right caption of its own clip, so that the text alone does not give the
    answer.
    """
    earlier: deque[CaptionedClip] = deque(maxlen=REMEMBERED)

    def make(clip: CaptionedClip) -> Iterator[Record]:
        rng = random.Random(f"{seed} match {clip.audio}")
        others = [other for other in earlier if other.split == clip.split and not _roots(other) & _roots(clip)]
        earlier.append(clip)
        if others:
            yield _fits(clip, rng.choice(clip.captions), "yes")
            yield _fits(clip, rng.choice(rng.choice(others).captions), "no")

    return make


def _fits(clip: CaptionedClip, text: str, answer: str) -> Record:
    question = f'Does this caption describe the audio: "{text.strip()}"? Answer only using yes or no.'
    return _record(clip, question, answer, (clip.audio,), clip.captions, choices=YES_NO)


def _record(
    clip: CaptionedClip,
    question: str,
    answer: str,
    audio: tuple[str, ...],
    captions: tuple[str, ...],
    *,
    choices: tuple[str, ...] = (),
    subtype: str = "",
) -> Record:
    return Record(
        question=question, answer=answer, audio=audio, captions=captions, choices=choices,
        task="binary" if choices else "caption", subtype=subtype, source=clip.source, split=clip.split,
        licence=clip.licence,
    )  # fmt: skip


def _roots(clip: CaptionedClip) -> frozenset[str]:
    return roots(" ".join(clip.captions))


def _end(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


TASKS: Mapping[CaptionTask, Callable[[int], Maker]] = {"caption": caption, "pairs": pairs, "match": match}
