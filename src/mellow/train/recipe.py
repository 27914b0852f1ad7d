"""A training recipe: YAML -> checked values. Unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mellow.data.recipe_file import Strict, read_yaml

__all__ = ["DataRecipe", "ModelRecipe", "Recipe", "read_recipe"]


class DataRecipe(Strict):
    examples: str
    """Path of the training examples, relative to the working directory: examples or records as JSONL (`mellow data
    compose`, `mellow data build`), or ReasonAQA's published JSON."""
    audio_root: str | None = None
    """The folder with the clips, in any subfolders; without it, paths are relative to the file of examples."""
    scenes: str | None = None
    """The scenes that the examples' clips were rendered from (scenes.jsonl): the truth for the event head."""
    shares: dict[str, float] = {}
    """The task families to train on, and the share of the examples of each that is used; empty: all of all."""
    seed: int = 1
    """Of the order of groups, questions and packing; with the epoch's number it fixes the order of the data."""
    epochs: int = Field(1, ge=1)
    """Passes over the examples."""
    tokens_per_row: int = Field(448, ge=64)
    """Length of a packed row; several clips with their questions share one row behind a block mask."""
    rows_per_batch: int = Field(8, ge=1)
    """Packed rows per step."""
    questions_per_group: int = Field(8, ge=1)
    """At most this many questions of one clip per epoch."""
    without_audio: float = Field(0.05, ge=0, le=1)
    """Share of multiple-choice groups whose clip is left out: teaches the text-only prior."""
    without_words: float = Field(0.1, ge=0, le=1)
    """Share of groups whose audio tags are left out, so that the audio tokens are used as well."""
    word_dropout: float = Field(0.1, ge=0, le=1)
    """Probability with which each audio tag of a group is left out."""


class ModelRecipe(Strict):
    start: str | None = None
    """Start from this model (`mini`, or an adapter checkpoint's directory); else mapper and adapters are untrained."""
    encoder: str = "ced"
    """The audio encoder: CED's ONNX export, a directory of `mellow convert --encoder`, or the bare name of a kind
    (ced, htsat, cnn14) for random weights."""
    encoder_sizes: dict[str, Any] = {}
    """Sizes of the encoder where they are not the kind's own."""
    base: str = "bundled"
    """The base language model: `bundled`, or the path of a Llama GGUF."""
    tokenizer: str = "bundled"
    """`bundled`, or the path of a tokenizer.json that fits the base."""
    heard_words: int = Field(10, ge=0)
    """How many of the encoder's strongest classes are written as audio tags of each clip."""
    words_per_part: int = Field(2, ge=1)
    """How many classes are written for each quarter of a clip."""
    event_width: int = Field(256, ge=1)
    """Width of the hidden layer of the event head, which is fitted where `data.scenes` is given."""
    frames_per_row: int = Field(2, ge=1)
    """Encoder steps averaged into one audio row."""
    adapter_rank: int = Field(24, ge=1)
    adapter_alpha: int = Field(48, gt=0)
    """Low-rank adapters on every linear layer of the language model; the update is scaled by alpha / rank."""


class OptimizerRecipe(Strict):
    learning_rate: float = Field(6e-4, gt=0)
    """Of the adapters, at its peak."""
    mapper_learning_rate: float = Field(1e-3, gt=0)
    """Of the mapper, at its peak."""
    weight_decay: float = Field(0.0, ge=0)
    warmup_steps: int = Field(50, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"


class RunRecipe(Strict):
    output: str
    """Directory of checkpoints and of the finished model."""
    cache: str
    """Directory of encoder outputs, computed once."""
    seed: int = 1
    steps: int | None = Field(None, ge=1)
    """Length of the run where it is not all epochs of the examples (the schedule ends there)."""
    save_steps: int = Field(100, ge=1)
    log_steps: int = Field(10, ge=1)
    bfloat16: bool = True
    """Autocast to bfloat16 (much faster on CPUs with AMX and on GPUs)."""
    compile: bool = False
    """Compile each decoder layer (torch.compile; needs a C++ compiler): about twice as fast on CPU."""
    max_nonfinite: int = Field(5, ge=1)
    """Stop after this many non-finite losses in a row."""


class Recipe(Strict):
    """Everything that a training run depends on, besides the data files themselves."""

    data: DataRecipe
    model: ModelRecipe = ModelRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    run: RunRecipe


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe; RecipeError names the file and the first bad key."""
    return read_yaml(path, Recipe)
