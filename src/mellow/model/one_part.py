"""One-part models and encoders: a directory with all weights in one safetensors file, written whole or not at all.

MODEL_DIR/config.json         MellowConfig; of an encoder, only its kind and sizes; `weights`: bytes and sha256
MODEL_DIR/model.safetensors   float32, under the names of our modules
MODEL_DIR/tokenizer.json      not for an encoder
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mellow.errors import ModelError
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.stored.files import new_directory, record, sha256
from mellow.stored.llama import check_total
from mellow.stored.settings import check_settings, known_settings, read_settings
from mellow.stored.verified import is_remembered, remember, stamps

__all__ = [
    "WEIGHTS",
    "assemble",
    "check_weights",
    "load_encoder",
    "load_one_part",
    "read_config",
    "save_encoder",
    "save_one_part",
]

WEIGHTS = "model.safetensors"
COUNTER = "num_batches_tracked"  # of batch norms: used by no one, may be absent


def save_one_part(
    directory: str | Path, *, config: MellowConfig, state: Mapping[str, torch.Tensor], tokenizer: str | Path
) -> None:
    """Write a model directory; ModelError where it exists already or cannot be written.

    state: tensors under the names of `MellowForConditionalGeneration`; a tied output matrix is left out.
    """
    tied = {"language_model.lm_head.weight"} if config.text_config.tie_word_embeddings else set()
    with new_directory(Path(directory)) as folder:
        weights = _write_weights(folder, {name: tensor for name, tensor in state.items() if name not in tied})
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        settings = {**known_settings(json.loads(config.to_json_string(use_diff=False))), "weights": weights}
        (folder / "config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def load_one_part(directory: str | Path, *, verify: bool = False) -> MellowForConditionalGeneration:
    """Build the model of a one-part directory, in float32 and evaluation mode.

    verify: also check the sha256 of the weights (half a second for Mellow v0); their size always is checked.
    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    directory = Path(directory)
    config = read_config(directory)
    state = _read_weights(directory, config.weights, verify=verify)
    return assemble(config, state, what=f"The model {directory}")


def save_encoder(
    directory: str | Path, *, encoder: str, sizes: Mapping[str, Any], state: Mapping[str, torch.Tensor]
) -> None:
    """Write an encoder directory; ModelError where it exists already or cannot be written.

    encoder: its kind; sizes: of its config; state: tensors under the names of its module.
    """
    with new_directory(Path(directory)) as folder:
        settings = {"encoder": encoder, "encoder_config": dict(sizes), "weights": _write_weights(folder, state)}
        (folder / "config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def load_encoder(directory: str | Path) -> tuple[str, dict[str, Any], dict[str, torch.Tensor]]:
    """Kind, sizes and tensors of an encoder directory; ModelError names the part that is missing or damaged."""
    directory = Path(directory)
    settings = read_settings(directory)
    try:
        kind, sizes, weights = str(settings["encoder"]), dict(settings["encoder_config"]), dict(settings["weights"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{directory} is no encoder directory; make one with 'mellow convert --encoder'.") from None
    return kind, sizes, _read_weights(directory, weights, verify=True)


def assemble(config: MellowConfig, state: dict[str, torch.Tensor], *, what: str) -> MellowForConditionalGeneration:
    """A model on these tensors, which are used in place; frozen, in evaluation mode.

    what: what errors call the model, as the beginning of a sentence. Raises ModelError for missing or unknown names
    and for wrong shapes.
    """
    try:
        with torch.device("meta"):
            model = MellowForConditionalGeneration(config)
    except ModelError:
        raise
    except Exception as error:  # whatever transformers or torch make of an impossible size
        raise ModelError(f"{what} has an impossible config ({_first_sentence(error)}).") from None
    table = "language_model.model.embed_tokens.weight"
    if config.text_config.tie_word_embeddings and table in state:
        state.setdefault("language_model.lm_head.weight", state[table])
    expected = {name for name in model.state_dict() if not name.endswith(COUNTER)}
    check_total(expected, {name for name in state if not name.endswith(COUNTER)}, what=what)
    try:
        model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise ModelError(f"{what} has tensors of unfit shapes ({reason}).") from None
    for name, buffer in list(model.named_buffers()):
        if buffer.is_meta:  # rotary tables and batch counters are computed, not stored
            _restore_buffer(model, name)
    model.tie_weights()
    model.eval().requires_grad_(False)
    return model


def read_config(directory: Path) -> MellowConfig:
    """The config of a model directory; ModelError where it is missing or damaged."""
    settings = read_settings(directory)
    check_settings(settings)
    try:
        return MellowConfig(**settings)
    except Exception as error:  # whatever transformers makes of it
        raise ModelError(f"{directory / 'config.json'} is damaged ({_first_sentence(error)}).") from None


def check_weights(directory: Path, weights: Mapping[str, Any], *, verify: bool = True) -> Path:
    """The weights' file of a directory, if its size (and sha256, once a day) are those recorded; else ModelError."""
    path = directory / WEIGHTS
    if not path.is_file():
        raise ModelError(f"The model {directory} lacks its weights, {WEIGHTS}.")
    found = stamps(directory, ["config.json", WEIGHTS])
    sound = path.stat().st_size == weights.get("bytes", path.stat().st_size)
    if sound and verify and "sha256" in weights and not is_remembered(directory, found):
        sound = sha256(path) == weights["sha256"]
        if sound:
            remember(directory, found)
    if not sound:
        raise ModelError(f"{path} is damaged: it is not what was written; convert or fetch the model again.")
    return path


def _first_sentence(error: Exception) -> str:
    """The beginning of an error that may go on for pages."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0][:200].rstrip(".")


def _read_weights(directory: Path, weights: Mapping[str, Any], *, verify: bool) -> dict[str, torch.Tensor]:
    path = check_weights(directory, weights, verify=verify)
    try:
        return dict(load_file(str(path)))
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelError(f"{path} is damaged ({error}).") from None


def _write_weights(folder: Path, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Write the tensors; returns what is recorded of the file."""
    path = folder / WEIGHTS
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, str(path), metadata={"format": "pt"})
    return record(path)


def _restore_buffer(model: nn.Module, name: str) -> None:
    """Recompute a buffer that was built on the meta device."""
    module_name, _, leaf = name.rpartition(".")
    module = model.get_submodule(module_name)
    if leaf == COUNTER:
        setattr(module, leaf, torch.zeros((), dtype=torch.long))
    else:
        fresh = type(module)(config=module.config)  # transformers' rotary embedding
        setattr(module, leaf, getattr(fresh, leaf))
