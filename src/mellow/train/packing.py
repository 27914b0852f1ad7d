"""Examples to packed rows: several questions after one clip, several clips in one row, separated by a block mask.

A row holds groups one after the other. A group is a prefix (audio tokens, tags) followed by question blocks; a
token sees its own group's prefix and its own block, causally. Positions restart with each group, and each block
continues behind its prefix: every question is trained exactly as if it stood alone behind its clip.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mellow.data.captions.paraphrases import paraphrase
from mellow.events import Timeline
from mellow.text.prompt import AUDIO, IGNORE, ClipTokens, Prompt
from mellow.text.tags import AudioTags
from mellow.train.recipe import DataRecipe
from mellow.types import Example

__all__ = ["PAD_GROUP", "EncodedClip", "Group", "Row", "group_examples", "pack_epoch"]

log = logging.getLogger(__name__)
OPEN_ROWS = 16  # rows that still take groups while packing
PAD_GROUP = -1
NO_TIMELINE = Timeline()


@dataclass(frozen=True)
class EncodedClip:
    """An encoded clip as packing needs it: number of audio tokens, class scores, timeline."""

    audio: int
    clip_scores_C: np.ndarray
    step_scores_TC: np.ndarray
    timeline: Timeline = NO_TIMELINE


@dataclass(frozen=True)
class Group:
    """Examples about the same clips (or the same word list).

    rows: the place of each example among all, by which its paraphrase is drawn.
    """

    audio: tuple[str, ...]
    heard: tuple[str, ...]
    examples: tuple[Example, ...]
    rows: tuple[int, ...]


@dataclass
class Row:
    """A packed row of L tokens.

    ids: token ids, AUDIO where an audio token stands; groups, blocks: number of each token's group in the row and of
    its block in the group (0: prefix); positions: rotary positions; labels: the token itself where it is learnt, else
    IGNORE; weights: of each labelled token in the loss; clips: the clips whose audio tokens stand in the row, in order;
    questions: how many stand in the row; left_out: how many more were too long for any row.
    """

    ids: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    questions: int = 0
    left_out: int = 0


def group_examples(examples: Iterable[Example]) -> list[Group]:
    """Bring examples about the same clips together, in the order of their first example."""
    found: dict[tuple[object, ...], list[tuple[int, Example]]] = defaultdict(list)
    for row, example in enumerate(examples):
        found[example.audio, example.heard, "" if example.audio else example.group].append((row, example))
    groups = []
    for pairs in found.values():
        rows, members = zip(*pairs, strict=True)
        groups.append(Group(members[0].audio, members[0].heard, members, rows))
    return groups


def pack_epoch(
    groups: Sequence[Group],
    *,
    recipe: DataRecipe,
    epoch: int,
    prompt: Prompt,
    tags: AudioTags | None,
    clip_of: Callable[[str], EncodedClip],
) -> list[Row]:
    """All rows of an epoch; their order and content depend on the seed, the epoch and the examples alone.

    Questions that do not fit into a row, with their clips, are left out and counted in the log.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    rows: list[Row] = []
    open_rows: list[Row] = []
    left_out = 0
    for number in rng.permutation(len(groups)):
        for unit in _units(_worded(groups[number], recipe.seed, epoch), recipe, rng, prompt, tags, clip_of):
            left_out += unit.left_out
            if not unit.questions:
                continue
            home = next((row for row in open_rows if len(row.ids) + len(unit.ids) <= recipe.tokens_per_row), None)
            if home is None:
                home = Row()
                open_rows.append(home)
            _append(home, unit)
            if len(open_rows) > OPEN_ROWS:
                fullest = max(open_rows, key=lambda row: len(row.ids))
                open_rows.remove(fullest)
                rows.append(fullest)
    if left_out:
        log.warning("%d questions are too long for %d tokens_per_row and are left out", left_out, recipe.tokens_per_row)
    return rows + open_rows


def _worded(group: Group, seed: int, epoch: int) -> Group:
    """The group with a paraphrase in the place of each special input, as `explain the difference in few words`."""
    pairs = zip(group.rows, group.examples, strict=True)
    worded = [replace(e, question=paraphrase(e.question, seed=seed, epoch=epoch, row=row)) for row, e in pairs]
    return replace(group, examples=tuple(worded))


def _units(
    group: Group,
    recipe: DataRecipe,
    rng: np.random.Generator,
    prompt: Prompt,
    tags: AudioTags | None,
    clip_of: Callable[[str], EncodedClip],
) -> Iterable[Row]:
    """A group as one or more one-group rows, none longer than a row may be; what cannot fit is left out."""
    examples = [group.examples[i] for i in rng.permutation(len(group.examples))[: recipe.questions_per_group]]
    clips = list(group.audio)
    if clips and rng.random() < recipe.without_audio:
        examples, clips = [example for example in examples if example.choices], []
    slots = prompt.slots(clips)
    prefix = _prefix(group if clips or not group.audio else None, recipe, rng, prompt, tags, clip_of)
    unit = _open(prefix, slots)
    for example in examples:
        question, answer = prompt.question(example.question), prompt.answer(example.answer)
        length = len(question) + len(answer)
        if len(unit.ids) + length > recipe.tokens_per_row and unit.questions:
            yield unit
            unit = _open(prefix, slots)
        if len(unit.ids) + length <= recipe.tokens_per_row:
            _add_block(unit, question, answer, start=len(prefix))
        else:
            unit.left_out += 1
    yield unit


def _prefix(
    group: Group | None,
    recipe: DataRecipe,
    rng: np.random.Generator,
    prompt: Prompt,
    tags: AudioTags | None,
    clip_of: Callable[[str], EncodedClip],
) -> list[int]:
    """Expanded ids in front of the questions; None: no clip."""
    if group is None:
        return prompt.assemble(()).ids
    if group.heard and tags is not None:
        return prompt.assemble([ClipTokens(0, tags.words(group.heard))]).ids
    with_tags = tags is not None and rng.random() >= recipe.without_words
    clips = []
    for name in group.audio:
        clip = clip_of(name)
        written: list[int] = []
        if with_tags and tags is not None:
            dropped = rng.random(len(clip.clip_scores_C)) < recipe.word_dropout
            likely = [sound for sound in clip.timeline.likely if rng.random() >= recipe.word_dropout]
            events = [event for event in clip.timeline.events if rng.random() >= recipe.word_dropout]
            written = tags.write(
                np.where(dropped, -np.inf, clip.clip_scores_C), clip.step_scores_TC, Timeline(likely, events)
            )
        clips.append(ClipTokens(clip.audio, written))
    return prompt.assemble(clips).ids


def _open(prefix: list[int], clips: list[str]) -> Row:
    n = len(prefix)
    return Row(list(prefix), [0] * n, [0] * n, list(range(n)), [IGNORE] * n, [0.0] * n, list(clips))


def _add_block(unit: Row, question: list[int], answer: list[int], *, start: int) -> None:
    unit.questions += 1
    length = len(question) + len(answer)
    unit.ids += question + answer
    unit.groups += [0] * length
    unit.blocks += [unit.questions] * length
    unit.positions += range(start, start + length)
    unit.labels += [IGNORE] * len(question) + answer
    # Between one weight per token and one per answer: long answers would drown the short ones.
    unit.weights += [0.0] * len(question) + [len(answer) ** -0.5] * len(answer)


def _append(row: Row, unit: Row) -> None:
    number = row.groups[-1] + 1 if row.groups else 0
    row.ids += unit.ids
    row.groups += [number] * len(unit.ids)
    row.blocks += unit.blocks
    row.positions += unit.positions
    row.labels += unit.labels
    row.weights += unit.weights
    row.clips += unit.clips if AUDIO in unit.ids else []
    row.questions += unit.questions
