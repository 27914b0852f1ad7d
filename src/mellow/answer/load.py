"""Names of models to loaded engines."""

from __future__ import annotations

from pathlib import Path

from mellow.answer.choose import ChoiceRule
from mellow.answer.facade import Mellow
from mellow.answer.torch_engine import TorchEngine
from mellow.errors import ModelError
from mellow.model.build import encoder_sizes
from mellow.model.convert import HUB, cached
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.one_part import load_one_part, read_config
from mellow.model.precision import choose_device, place
from mellow.model.two_part import BUNDLED, load_two_part
from mellow.processor import ClipPolicy, Processor
from mellow.text.tokenizer import Tokenizer

__all__ = ["NAMED", "load", "processor_of"]

NAMED = {"mini": BUNDLED}


def load(
    name: str | Path = "mini",
    *,
    device: str = "auto",
    dtype: str = "float32",
    policy: ClipPolicy | None = None,
) -> Mellow:
    """Load a model.

    name: `mini` (bundled, works offline); `v0` or `v0_s` (published, fetched from the hub and converted once); the path
        of such a checkpoint (`.ckpt`); or a directory that `mellow train` or `mellow convert` has written.
    device: `auto` (CUDA, MPS or CPU, the first there is) or one of these; dtype: of the language model, `float32`,
        `bfloat16` or (on the CPU) `int8` weights.
    policy: for clips that are not 10 s long, where the layout's own is not wanted.
    Raises ModelError for an unknown name, a directory with a missing or damaged part, or an impossible device or
    precision.
    """
    chosen = choose_device(device, dtype=dtype)
    directory = model_directory(str(name))
    config = read_config(directory)
    model = load_two_part(directory, verify=True) if config.base else load_one_part(directory)
    try:
        rule = ChoiceRule(**config.choice)
    except TypeError as error:
        raise ModelError(f"{directory / 'config.json'} has an impossible rule for choices ({error}).") from None
    place(model, chosen, dtype=dtype)
    processor = processor_of(model, Tokenizer.from_file(directory / "tokenizer.json"), policy=policy)
    return Mellow(TorchEngine(model), processor, rule, str(name))


def model_directory(name: str) -> Path:
    """The directory behind a model's name; hub models and checkpoints are converted into the cache first."""
    if name in HUB or name.endswith((".ckpt", ".pt", ".pth")):
        return cached(name)
    directory = NAMED.get(name, Path(name))
    if not directory.is_dir():
        known = ", ".join([*NAMED, *HUB])
        raise ModelError(f"There is no model {name!r}; use {known}, a v0.ckpt, or the directory of a model.")
    return directory


def processor_of(
    model: MellowForConditionalGeneration, tokenizer: Tokenizer, *, policy: ClipPolicy | None = None
) -> Processor:
    """The processor that fits a model."""
    config = model.config
    sizes = encoder_sizes(config)
    return Processor.of(tokenizer, encoder=config.encoder, layout=config.layout, mel_bins=sizes.mel_bins, policy=policy)
