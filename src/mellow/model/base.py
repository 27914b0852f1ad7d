"""The base language model with torch: a Llama's tensors and config out of a GGUF file."""

from __future__ import annotations

from pathlib import Path

import torch

from mellow.stored.llama import LlamaFile

__all__ = ["llama_config_of_gguf", "read_llama_gguf"]


def llama_config_of_gguf(path: str | Path) -> dict[str, object]:
    """The settings of a Llama GGUF as the keyword arguments of transformers' LlamaConfig."""
    return dict(LlamaFile(path).config)


def read_llama_gguf(path: str | Path) -> dict[str, torch.Tensor]:
    """Dequantise a Llama GGUF into the names of transformers' LlamaForCausalLM, float32."""
    file = LlamaFile(path)
    state = {name: torch.from_numpy(file[name]) for name in file.shapes}
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state
