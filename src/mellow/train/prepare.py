"""From a recipe's examples to packed rows: clips encoded once, what is heard in them settled, every epoch packed."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mellow.data.build import read_examples
from mellow.data.phrases import sounds
from mellow.data.store import audio_path, read_scenes
from mellow.errors import RecipeError
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.processor import Processor
from mellow.progress import Progress, silent
from mellow.text.heard import HeardWords
from mellow.text.timeline import Timeline, read_timeline
from mellow.text.tokenizer import Tokenizer
from mellow.train.dataset import PackedRows
from mellow.train.events import fit_events
from mellow.train.features import FeatureCache
from mellow.train.initial import class_names, heard_words, muted_classes
from mellow.train.packing import ClipTokens, group_examples, pack_epoch
from mellow.train.recipe import DataRecipe, Recipe
from mellow.types import Example

__all__ = ["prepare"]

log = logging.getLogger(__name__)


def prepare(
    recipe: Recipe, model: MellowForConditionalGeneration, processor: Processor, *, progress: Progress = silent
) -> tuple[PackedRows, HeardWords | None]:
    """All rows of a run, and the heard words of its model; the model gets its event head, if it is to have one."""
    examples_path = Path(recipe.data.examples)
    examples = list(read_examples(examples_path))
    if not examples:
        raise RecipeError(f"There are no examples in {examples_path}.")
    key = f"ced-{sum(p.double().abs().sum().item() for p in model.encoder.parameters()):.6f}"
    cache = FeatureCache(recipe.run.cache, root=examples_path.parent, key=key.replace(".", "-"))
    clips = {clip for example in examples for clip in example.audio}
    unreadable = cache.fill(clips, model, processor, progress=progress)
    if unreadable:
        log.warning("%d clips cannot be heard and are left out: %s", len(unreadable), sorted(unreadable)[:5])
    examples = [example for example in examples if not unreadable.intersection(example.audio)]
    heard, tokens = hear(
        recipe, model, processor.prompt.tokenizer, cache, sorted(clips - unreadable), progress=progress
    )
    groups = group_examples(chosen(examples, recipe.data))
    rows = []
    for epoch in range(recipe.data.epochs):
        rows += pack_epoch(
            groups, recipe=recipe.data, epoch=epoch, prompt=processor.prompt, heard=heard, tokens_of=tokens.__getitem__
        )
    if not rows:
        raise RecipeError(f"No question of {examples_path} fits into {recipe.data.tokens_per_row} tokens_per_row.")
    fill = sum(len(row.ids) for row in rows) / (len(rows) * recipe.data.tokens_per_row)
    log.info("%d questions in %d rows, %.0f %% full", sum(row.questions for row in rows), len(rows), 100 * fill)
    return PackedRows(rows, cache, frames_per_row=recipe.model.frames_per_row), heard


def chosen(examples: Sequence[Example], recipe: DataRecipe) -> list[Example]:
    """The examples of the families that a recipe names, of each as many as it says; all where it names none."""
    if not recipe.shares:
        return list(examples)
    rng = np.random.default_rng(recipe.seed)
    return [example for example in examples if rng.random() < recipe.shares.get(example.task, 0.0)]


def hear(
    recipe: Recipe,
    model: MellowForConditionalGeneration,
    tokenizer: Tokenizer,
    cache: FeatureCache,
    clips: Sequence[str],
    *,
    progress: Progress = silent,
) -> tuple[HeardWords | None, dict[str, ClipTokens]]:
    """How words are heard in clips, and what packing needs to know of each.

    Scenes give a new event head and timelines that are honest to train on (`train.events`); without them a model that
    training goes on from keeps its own head and heard words.
    """
    timelines: dict[str, Timeline] = {}
    names: list[str] = []
    if recipe.data.scenes is not None and recipe.model.heard_words:
        known = set(clips)
        scenes = [scene for scene in read_scenes(Path(recipe.data.scenes)) if audio_path(scene.name) in known]
        if not scenes:
            raise RecipeError(f"None of the scenes {recipe.data.scenes} is a clip of the examples.")
        events = fit_events(
            scenes,
            cache,
            width=recipe.model.event_width,
            seed=recipe.run.seed,
            folder=Path(recipe.run.output),
            progress=progress,
        )
        model.events = events.head
        timelines |= events.timelines
        names = [sounds()[key].name for key in events.sounds]
    tokens = {clip: clip_tokens(model, cache, clip, timelines.get(clip)) for clip in clips}
    if not recipe.model.heard_words:
        return None, tokens
    classes = class_names()[: model.config.encoder_config["classes"]]
    muted = [c for c in muted_classes() if c < len(classes)]
    if model.config.heard and not names:
        return HeardWords.from_dict({**model.config.heard, "muted": muted}), tokens
    heard = heard_words(
        tokenizer,
        classes,
        (clip.clip_scores_C for clip in tokens.values()),
        count=recipe.model.heard_words,
        per_part=recipe.model.words_per_part,
        muted=muted,
        events=names,
    )
    return heard, tokens


@torch.inference_mode()
def clip_tokens(
    model: MellowForConditionalGeneration, cache: FeatureCache, clip: str, timeline: Timeline | None
) -> ClipTokens:
    """A clip for packing; its timeline, where none is given, is what the model's event head says."""
    arrays = cache.read(clip)
    if timeline is None:
        frames_TE = torch.from_numpy(arrays["frames"]).float()
        timeline = read_timeline(model.events(frames_TE).numpy()) if model.events is not None else Timeline()
    rows = math.ceil(len(arrays["frames"]) / model.config.frames_per_row)
    return ClipTokens(rows, arrays["clip_scores"].astype("float32"), arrays["step_scores"].astype("float32"), timeline)
