"""From a recipe's examples to packed rows: clips encoded once, their tags settled, every epoch packed."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mellow.data.examples import read_training_examples
from mellow.data.scenes.composition import read_held_out
from mellow.data.scenes.phrases import sounds
from mellow.data.scenes.store import audio_path, read_scenes
from mellow.errors import RecipeError
from mellow.events import StepClock, Timeline, read_timeline
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.processor import Processor
from mellow.progress import Progress, silent
from mellow.text.tags import AudioTags, TagSettings
from mellow.train.dataset import PackedRows
from mellow.train.events import fit_events
from mellow.train.features import FeatureCache
from mellow.train.initial import class_names, muted_classes, tag_settings
from mellow.train.packing import EncodedClip, group_examples, pack_epoch
from mellow.train.recipe import DataRecipe, Recipe
from mellow.types import Example

__all__ = ["prepare"]

log = logging.getLogger(__name__)


def prepare(
    recipe: Recipe, model: MellowForConditionalGeneration, processor: Processor, *, progress: Progress = silent
) -> tuple[PackedRows, AudioTags | None]:
    """All rows of a run, and the audio tags of its model; the model gets its event head, if it is to have one."""
    examples_path = Path(recipe.data.examples)
    audio_root = recipe.data.audio_root
    examples = list(read_training_examples(examples_path, audio_root=audio_root))
    if not examples:
        raise RecipeError(f"There are no examples in {examples_path}.")
    key = f"{model.config.encoder}-{sum(p.double().abs().sum().item() for p in model.encoder.parameters()):.6f}"
    cache = FeatureCache(recipe.run.cache, root=audio_root or examples_path.parent, key=key.replace(".", "-"))
    clips = {clip for example in examples for clip in example.audio}
    unreadable = cache.fill(clips, model, processor, progress=progress)
    if unreadable:
        log.warning("%d clips cannot be heard and are left out: %s", len(unreadable), sorted(unreadable)[:5])
    examples = [example for example in examples if not unreadable.intersection(example.audio)]
    settings, encoded = recognise(recipe, model, cache, sorted(clips - unreadable), progress=progress)
    clock = StepClock.of(model.config.model.sizes)
    tags = AudioTags(settings, processor.prompt.tokenizer, clock) if settings else None
    groups = group_examples(chosen(examples, recipe.data))
    rows = []
    for epoch in range(recipe.data.epochs):
        rows += pack_epoch(
            groups, recipe=recipe.data, epoch=epoch, prompt=processor.prompt, tags=tags, clip_of=encoded.__getitem__
        )
    if not rows:
        raise RecipeError(f"No question of {examples_path} fits into {recipe.data.tokens_per_row} tokens_per_row.")
    fill = sum(len(row.ids) for row in rows) / (len(rows) * recipe.data.tokens_per_row)
    log.info("%d questions in %d rows, %.0f %% full", sum(row.questions for row in rows), len(rows), 100 * fill)
    return PackedRows(rows, cache, frames_per_row=recipe.model.frames_per_row, clock=clock), tags


def chosen(examples: Sequence[Example], recipe: DataRecipe) -> list[Example]:
    """The examples of the families that a recipe names, of each as many as it says; all where it names none."""
    if not recipe.shares:
        return list(examples)
    rng = np.random.default_rng(recipe.seed)
    return [example for example in examples if rng.random() < recipe.shares.get(example.task, 0.0)]


def recognise(
    recipe: Recipe,
    model: MellowForConditionalGeneration,
    cache: FeatureCache,
    clips: Sequence[str],
    *,
    progress: Progress = silent,
) -> tuple[TagSettings | None, dict[str, EncodedClip]]:
    """How clips are tagged, and what packing needs to know of each.

    Scenes give a new event head and out-of-fold timelines to train on (`train.events`); without them a model that
    training goes on from keeps its own head and tags.
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
            clock=StepClock.of(model.config.model.sizes),
            width=recipe.model.event_width,
            seed=recipe.run.seed,
            folder=Path(recipe.run.output),
            progress=progress,
        )
        model.events = events.head
        timelines |= events.timelines
        names = [sounds()[key].name for key in events.sounds]
    encoded = {clip: encoded_clip(model, cache, clip, timelines.get(clip)) for clip in clips}
    if not recipe.model.heard_words:
        return None, encoded
    classes = class_names()[: model.config.encoder_config["classes"]]
    held_out = read_held_out(Path(recipe.data.examples).parent)  # where `mellow data compose` wrote the examples
    muted = [c for c in muted_classes(held_out) if c < len(classes)]
    if model.config.tags and not names:
        return TagSettings.from_dict({**model.config.tags, "muted": muted}), encoded
    settings = tag_settings(
        classes,
        (clip.clip_scores_C for clip in encoded.values()),
        count=recipe.model.heard_words,
        per_part=recipe.model.words_per_part,
        muted=muted,
        sounds=names,
    )
    if names:  # the head and its sounds' names belong together
        model.config.tags = settings.to_dict()
        model.config.events = {"width": recipe.model.event_width, "sounds": len(names)}
    return settings, encoded


@torch.inference_mode()
def encoded_clip(
    model: MellowForConditionalGeneration, cache: FeatureCache, clip: str, timeline: Timeline | None
) -> EncodedClip:
    """A clip for packing; its timeline, where none is given, is what the model's event head says."""
    arrays = cache.read(clip)
    clock = StepClock.of(model.config.model.sizes)
    if timeline is None:
        frames_TE = torch.from_numpy(arrays["frames"]).float()
        timeline = read_timeline(model.events(frames_TE).numpy(), clock) if model.events is not None else Timeline()
    audio = sum(math.ceil(steps / model.config.frames_per_row) for steps in clock.windows(len(arrays["frames"])))
    clip_C, step_TC = (arrays[f"{what}_scores"].astype("float32") for what in ("clip", "step"))
    return EncodedClip(audio, clip_C, step_TC, timeline)
