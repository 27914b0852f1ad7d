"""The untrained model of a recipe: pretrained halves, a mapper that starts as class names, fresh adapters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from mellow.checkpoints.adapter import read_trained
from mellow.checkpoints.full import read_encoder
from mellow.checkpoints.llama import LlamaFile
from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig
from mellow.data.scenes.phrases import sounds
from mellow.encoders import ENCODERS, CedConfig, EncoderConfig, EncoderSpec, encoder_spec
from mellow.errors import ModelError, RecipeError
from mellow.files import record
from mellow.importers.ced_onnx import read_ced_onnx
from mellow.model.build import build_events
from mellow.model.checkpoint import read_llama_gguf
from mellow.model.configuration import MellowConfig
from mellow.model.mapper import CompactMapper
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.text.tags import TagSettings
from mellow.text.tokenizer import Tokenizer
from mellow.train.recipe import ModelRecipe

__all__ = [
    "adapt",
    "adapter_weights",
    "base_file",
    "class_names",
    "initial_model",
    "muted_classes",
    "start_directory",
    "tag_settings",
    "tokenizer_file",
]

BASE_NAME = "base.gguf"
LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def base_file(recipe: ModelRecipe) -> Path:
    return BUNDLED / BASE_NAME if recipe.base == "bundled" else Path(recipe.base)


def tokenizer_file(recipe: ModelRecipe) -> Path:
    return BUNDLED / "tokenizer.json" if recipe.tokenizer == "bundled" else Path(recipe.tokenizer)


def class_names() -> list[str]:
    """The written name of each AudioSet class, by index."""
    by_index = {sound.index: sound.name for sound in sounds().values() if sound.index is not None}
    return [by_index[i] for i in range(len(by_index))]


def muted_classes(held_out: Iterable[str]) -> list[int]:
    """Indices of the classes of sounds that training never names, by their keys."""
    return sorted(index for key in held_out if (index := sounds()[key].index) is not None)


def initial_model(recipe: ModelRecipe) -> MellowForConditionalGeneration:
    """Build the model: encoder and language model pretrained, mapper at its start; float32, no adapters yet.

    With `start`, mapper and event head are those of that model, and the encoder, too, where no other is given.
    """
    spec, sizes, state = encoder_of(recipe)
    base = base_file(recipe)
    config = ModelConfig(
        spec,
        sizes,
        LlamaFile(base).spec.to_config(),
        frames_per_row=recipe.frames_per_row,
        files={
            "base": {"file": BASE_NAME, **record(base)},
            "adapter": {"rank": recipe.adapter_rank, "alpha": recipe.adapter_alpha},
        },
    )
    model = MellowForConditionalGeneration(MellowConfig.of(config))
    model.language_model.load_state_dict(read_llama_gguf(base))
    if state is not None:
        model.encoder.load_state_dict(state, strict=False)  # all but the counters of batch norms
    tokenizer = Tokenizer.from_file(tokenizer_file(recipe))
    if recipe.start is None:
        start_as_words(model, tokenizer, class_names()[: sizes.classes])
    else:
        start_as(model, recipe)
    model.eval()
    return model


def encoder_of(recipe: ModelRecipe) -> tuple[EncoderSpec, EncoderConfig, dict[str, torch.Tensor] | None]:
    """Kind, sizes and pretrained tensors of a recipe's encoder; no tensors where it names only a kind."""
    if recipe.encoder in ENCODERS:
        spec = encoder_spec(recipe.encoder)
        return spec, spec.sizes(recipe.encoder_sizes), None
    path = Path(recipe.encoder)
    if not path.exists():
        raise RecipeError(
            f"There is no encoder {recipe.encoder!r}; give CED's ONNX export, a directory that "
            f"'mellow convert --encoder' has written, or one of {', '.join(ENCODERS)} for random weights."
        )
    if path.is_dir():
        if recipe.encoder_sizes:
            raise RecipeError(f"The encoder {recipe.encoder} has its own sizes; leave encoder_sizes out.")
        spec, sizes, state = read_encoder(path)
        return spec, sizes, {name: torch.from_numpy(array) for name, array in state.items()}
    spec = encoder_spec("ced")
    ced = CedConfig(**recipe.encoder_sizes)
    tensors = read_ced_onnx(recipe.encoder, ced)
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != ced.shapes():
        raise RecipeError(f"The encoder {recipe.encoder} does not fit the sizes {ced}.")
    return spec, ced, tensors


def start_directory(recipe: ModelRecipe) -> Path:
    return BUNDLED if recipe.start == "mini" else Path(str(recipe.start))


def start_as(model: MellowForConditionalGeneration, recipe: ModelRecipe) -> None:
    """Give an untrained model the mapper, the event head and, where the recipe names none, the encoder of `start`."""
    directory = start_directory(recipe)
    found, ours = ModelConfig.read(directory), model.config.model
    for what, theirs, mine in (
        ("encoder", found.spec.kind, ours.spec.kind),
        ("encoder_config", found.sizes, ours.sizes),
        ("frames_per_row", found.frames_per_row, ours.frames_per_row),
        ("adapter", found.files.get("adapter"), ours.files.get("adapter")),
    ):
        if theirs != mine:
            raise RecipeError(f"The model {directory} cannot be resumed from: its {what} is another than the recipe's.")
    if found.files.get("base", {}).get("sha256") != ours.files["base"]["sha256"]:
        raise RecipeError(f"The model {directory} cannot be resumed from: it stands on another base language model.")
    trained = read_trained(directory)
    model.config.tags, model.config.events = dict(found.tags), found.to_dict()["events"]
    model.events = build_events(found)
    parts = {"mapper": model.mapper, "events": model.events, "encoder": model.encoder}
    if recipe.encoder not in ENCODERS:
        del parts["encoder"]
    for part, module in parts.items():
        if module is not None:
            state = {n.removeprefix(f"{part}."): torch.from_numpy(x) for n, x in trained.items() if n.startswith(part)}
            missing = module.load_state_dict(state, strict=False).missing_keys
            lost = [name for name in missing if not name.endswith("num_batches_tracked")]
            if lost:
                raise ModelError(f"The model {directory} lacks tensors, the first being {part}.{lost[0]}.")


@torch.no_grad()
def start_as_words(model: MellowForConditionalGeneration, tokenizer: Tokenizer, names: Sequence[str]) -> None:
    """Set the mapper's class words to the mean input embedding of each class's name."""
    table_VD = cast(nn.Embedding, model.get_input_embeddings()).weight
    words = [table_VD[torch.tensor(tokenizer.encode(f" {name}"))].mean(0) for name in names]
    cast(CompactMapper, model.mapper).class_words.weight.copy_(torch.stack(words, 1))


def tag_settings(names: Sequence[str], clip_scores: Iterable[np.ndarray], **settings: Any) -> TagSettings:
    """Audio tags normalised over the clip scores of the training clips; as they are where there is no clip.

    settings: the others of `TagSettings`.
    """
    scores = list(clip_scores)
    scores_NC = np.stack(scores or [np.zeros(len(names))]).astype(np.float64)
    std_C = scores_NC.std(0) + 1e-3 if scores else np.ones(len(names))
    return TagSettings(
        list(names),
        mean=[round(float(x), 4) for x in scores_NC.mean(0)],
        std=[round(float(x), 4) for x in std_C],
        **settings,
    )


def adapt(model: MellowForConditionalGeneration, recipe: ModelRecipe) -> None:
    """Put low-rank adapters on every linear layer of the language model, in place; only these and the mapper learn.

    They are fresh, or those of the recipe's `start`.
    """
    model.requires_grad_(False)
    model.mapper.requires_grad_(True)
    lora = LoraConfig(
        r=recipe.adapter_rank,
        lora_alpha=recipe.adapter_alpha,
        target_modules=LINEAR_LAYERS,
        lora_dropout=0.0,
        bias="none",
    )
    model.language_model = get_peft_model(model.language_model, lora)
    if recipe.start is not None:
        trained = read_trained(start_directory(recipe))
        with torch.no_grad():
            for name, parameter in model.language_model.named_parameters(prefix="language_model"):
                if parameter.requires_grad and _plain(name) not in trained:
                    raise ModelError(f"The model {recipe.start} lacks tensors, the first being {_plain(name)}.")
                if parameter.requires_grad:
                    parameter.copy_(torch.from_numpy(trained[_plain(name)]))


def adapter_weights(model: MellowForConditionalGeneration) -> dict[str, np.ndarray]:
    """The trained tensors under the names of a two-part model, float32."""
    trained: dict[str, np.ndarray] = {}
    for name, tensor in model.state_dict().items():
        array = tensor.detach().float().cpu().numpy()
        if name.startswith(("encoder.", "mapper.", "events.")) and not name.endswith("num_batches_tracked"):
            trained[name] = array
        elif ".lora_A." in name or ".lora_B." in name:
            trained[_plain(name)] = array
    return trained


def _plain(name: str) -> str:
    """A trained tensor's name in a two-part model, without what peft and torch.compile put into it."""
    for part in ("_orig_mod.", "base_model.model."):
        name = name.replace(part, "")
    return name.replace(".lora_A.default.weight", ".lora_A").replace(".lora_B.default.weight", ".lora_B")
