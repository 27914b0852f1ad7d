"""Examples to packed rows: many questions behind one clip's tokens, many clips in one row, kept apart by a block mask.

A row holds groups one after the other. A group is a prefix (audio rows, heard words) followed by question blocks; a
token sees its own group's prefix and its own block, causally. Positions restart with each group, and each block
continues behind its prefix: every question is trained exactly as if it stood alone behind its clip.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mellow.text.heard import HeardWords
from mellow.text.prompt import ROW, HeardClip, Prompt, expand
from mellow.text.timeline import Timeline
from mellow.train.recipe import DataRecipe
from mellow.types import Example

__all__ = ["PAD_GROUP", "ClipTokens", "Group", "Row", "group_examples", "pack_epoch"]

log = logging.getLogger(__name__)
OPEN_ROWS = 16  # rows that still take groups while packing
PAD_GROUP = -1
NO_TIMELINE = Timeline()


@dataclass(frozen=True)
class ClipTokens:
    """What packing needs to know of an encoded clip: its audio rows, its strongest classes, its timeline."""

    rows: int
    clip_scores_C: np.ndarray
    step_scores_TC: np.ndarray
    timeline: Timeline = NO_TIMELINE


@dataclass(frozen=True)
class Group:
    """Examples about the same clips (or the same word list)."""

    audio: tuple[str, ...]
    heard: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass
class Row:
    """A packed row of L tokens.

    ids: token ids, ROW where an audio row stands; groups, blocks: number of each token's group in the row and of its
    block in the group (0: prefix); positions: rotary positions; labels: the token itself where it is learnt, else -100;
    weights: of each labelled token in the loss; clips: the clips whose audio rows stand in the row, in order;
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
    found: dict[tuple[object, ...], list[Example]] = defaultdict(list)
    for example in examples:
        found[example.audio, example.heard, "" if example.audio else example.group].append(example)
    return [Group(rows[0].audio, rows[0].heard, tuple(rows)) for rows in found.values()]


def pack_epoch(
    groups: Sequence[Group],
    *,
    recipe: DataRecipe,
    epoch: int,
    prompt: Prompt,
    heard: HeardWords | None,
    tokens_of: Callable[[str], ClipTokens],
) -> list[Row]:
    """All rows of an epoch; their order and content depend on the seed, the epoch and the examples alone.

    Questions that are too long for any row, with what stands before them, are left out and counted in the log.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    rows: list[Row] = []
    open_rows: list[Row] = []
    left_out = 0
    for number in rng.permutation(len(groups)):
        for unit in _units(groups[number], recipe, rng, prompt, heard, tokens_of):
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


def _units(
    group: Group,
    recipe: DataRecipe,
    rng: np.random.Generator,
    prompt: Prompt,
    heard: HeardWords | None,
    tokens_of: Callable[[str], ClipTokens],
) -> Iterable[Row]:
    """A group as one or more one-group rows, none longer than a row may be; what cannot fit is left out."""
    examples = [group.examples[i] for i in rng.permutation(len(group.examples))[: recipe.questions_per_group]]
    clips = list(group.audio)
    if clips and rng.random() < recipe.without_audio:
        examples, clips = [example for example in examples if example.choices], []
    prefix = _prefix(group if clips or not group.audio else None, recipe, rng, prompt, heard, tokens_of)
    unit = _open(prefix, clips)
    for example in examples:
        question, answer = prompt.question(example.question), prompt.answer(example.answer)
        length = len(question) + len(answer)
        if len(unit.ids) + length > recipe.tokens_per_row and unit.questions:
            yield unit
            unit = _open(prefix, clips)
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
    heard: HeardWords | None,
    tokens_of: Callable[[str], ClipTokens],
) -> list[int]:
    """Expanded ids in front of the questions; None stands for no clip at all."""
    if group is None:
        return prompt.prefix(0)
    if group.heard and heard is not None:
        words = heard.words([prompt.tokenizer.encode(f" {name}") for name in group.heard])
        return expand(prompt.prefix(1), [HeardClip(0, words)])
    with_words = heard is not None and rng.random() >= recipe.without_words
    listened = []
    for clip in group.audio:
        tokens = tokens_of(clip)
        words = []
        if with_words and heard is not None:
            dropped = rng.random(len(tokens.clip_scores_C)) < recipe.word_dropout
            likely = [sound for sound in tokens.timeline.likely if rng.random() >= recipe.word_dropout]
            events = [event for event in tokens.timeline.events if rng.random() >= recipe.word_dropout]
            words = heard.write(
                np.where(dropped, -np.inf, tokens.clip_scores_C), tokens.step_scores_TC, Timeline(likely, events)
            )
        listened.append(HeardClip(tokens.rows, words))
    return expand(prompt.prefix(len(listened)), listened)


def _open(prefix: list[int], clips: list[str]) -> Row:
    n = len(prefix)
    return Row(list(prefix), [0] * n, [0] * n, list(range(n)), [-100] * n, [0.0] * n, list(clips))


def _add_block(unit: Row, question: list[int], answer: list[int], *, start: int) -> None:
    unit.questions += 1
    length = len(question) + len(answer)
    unit.ids += question + answer
    unit.groups += [0] * length
    unit.blocks += [unit.questions] * length
    unit.positions += range(start, start + length)
    unit.labels += [-100] * len(question) + answer
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
    row.clips += unit.clips if ROW in unit.ids else []
    row.questions += unit.questions
