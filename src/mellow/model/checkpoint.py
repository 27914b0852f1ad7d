"""Tensors and a config to a model of torch: total by names and shapes, frozen, in evaluation mode."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mellow.checkpoints.adapter import AdapterState
from mellow.checkpoints.full import FullState
from mellow.checkpoints.llama import LlamaFile, check_total
from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.text.tokenizer import Tokenizer

__all__ = ["assemble", "load_checkpoint", "read_llama_gguf"]

COUNTER = "num_batches_tracked"  # of batch norms: used by no one, may be absent


def load_checkpoint(directory: str | Path, *, verify: bool = False) -> MellowForConditionalGeneration:
    """Build the model of a directory in float32, adapters merged into the base language model.

    verify: also check the sha256 of all weights (half a second for Mellow v0); sizes always are checked.
    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    directory = Path(directory)
    config = ModelConfig.read(directory)
    opened = AdapterState if config.files.get("base") else FullState
    state = {name: torch.from_numpy(array) for name, array in opened.open(directory, config, verify=verify).items()}
    model = assemble(config, state, what=f"The model {directory}")
    if config.tags:
        model.set_tokenizer(Tokenizer.from_file(directory / "tokenizer.json"))
    return model


def assemble(config: ModelConfig, state: dict[str, torch.Tensor], *, what: str) -> MellowForConditionalGeneration:
    """A model on these tensors, which are used in place; frozen, in evaluation mode.

    what: what errors call the model, as the beginning of a sentence. Raises ModelError for missing or unknown names
    and for wrong shapes.
    """
    try:
        with torch.device("meta"):
            model = MellowForConditionalGeneration(MellowConfig.of(config))
    except ModelError:
        raise
    except Exception as error:  # of transformers or torch, for an invalid size
        raise ModelError(f"{what} has an invalid config ({_first_sentence(error)}).") from None
    table = "language_model.model.embed_tokens.weight"
    if config.text_config.get("tie_word_embeddings") and table in state:
        state.setdefault("language_model.lm_head.weight", state[table])
    expected = {name for name in model.state_dict() if not name.endswith(COUNTER)}
    check_total(expected, {name for name in state if not name.endswith(COUNTER)}, what=what)
    try:
        model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise ModelError(f"{what} has tensors of wrong shapes ({reason}).") from None
    for name, buffer in list(model.named_buffers()):
        if buffer.is_meta:  # rotary tables and batch counters are computed, not stored
            _restore_buffer(model, name)
    model.tie_weights()
    model.eval().requires_grad_(False)
    return model


def read_llama_gguf(path: str | Path) -> dict[str, torch.Tensor]:
    """Dequantise a Llama GGUF into the names of transformers' LlamaForCausalLM, float32."""
    file = LlamaFile(path)
    state = {name: torch.from_numpy(file[name]) for name in file.shapes}
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def _first_sentence(error: Exception) -> str:
    """The first sentence of an error, which may be long."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0][:200].rstrip(".")


def _restore_buffer(model: nn.Module, name: str) -> None:
    """Recompute a buffer that was built on the meta device."""
    module_name, _, leaf = name.rpartition(".")
    module = model.get_submodule(module_name)
    if leaf == COUNTER:
        setattr(module, leaf, torch.zeros((), dtype=torch.long))
    else:
        fresh = type(module)(config=module.config)  # transformers' rotary embedding
        setattr(module, leaf, getattr(fresh, leaf))
