"""The base language model: a Llama read from a GGUF file by a total key map (unknown or missing names are errors)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize

from mellow.errors import KeyMapError, ModelError

__all__ = ["EMBEDDING", "check_total", "llama_config_of_gguf", "llama_names", "open_gguf", "read_llama_gguf"]

EMBEDDING = "token_embd.weight"  # GGUF's name


def check_total(expected: set[str], found: set[str], *, what: str) -> None:
    """Raise KeyMapError unless both sets of tensor names are equal."""
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise KeyMapError(
            f"{what} does not match the key map: {len(missing)} missing {missing[:10]}, "
            f"{len(unknown)} unknown {unknown[:10]}."
        )


def llama_config_of_gguf(path: str | Path) -> dict[str, object]:
    """The settings of a Llama GGUF as the keyword arguments of transformers' LlamaConfig."""
    return _llama_config(open_gguf(path), path)


def _llama_config(reader: GGUFReader, path: str | Path) -> dict[str, object]:
    def field(name: str) -> object:
        entry = reader.fields.get(name)
        if entry is None:
            raise ModelError(f"{path} lacks the GGUF field {name!r}; only Llama files can be a base language model.")
        return entry.contents()

    embedding = next((tensor for tensor in reader.tensors if tensor.name == EMBEDDING), None)
    if embedding is None:
        raise KeyMapError(f"{path} does not match the key map: 1 missing ['{EMBEDDING}'], 0 unknown [].")
    heads = int(field("llama.attention.head_count"))  # type: ignore[call-overload]
    width = int(field("llama.embedding_length"))  # type: ignore[call-overload]
    return {
        "vocab_size": int(embedding.shape[1]),
        "hidden_size": width,
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "head_dim": width // heads,
        "rms_norm_eps": round(float(field("llama.attention.layer_norm_rms_epsilon")), 9),  # type: ignore[arg-type]
        "rope_theta": float(field("llama.rope.freq_base")),  # type: ignore[arg-type]
        "max_position_embeddings": field("llama.context_length"),
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def read_llama_gguf(path: str | Path) -> dict[str, torch.Tensor]:
    """Dequantise a Llama GGUF into the names of transformers' LlamaForCausalLM, float32.

    GGUF stores query and key rows in llama.cpp's interleaved rotary order; they are put back into halves.
    """
    reader = open_gguf(path)
    config = _llama_config(reader, path)  # opening once more would parse the file's word lists again: seconds
    layers = int(config["num_hidden_layers"])  # type: ignore[call-overload]
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    names = llama_names(layers)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    check_total(set(names), set(tensors), what=str(path))
    state = {}
    for theirs, ours in names.items():
        array = dequantize(tensors[theirs].data, tensors[theirs].tensor_type).astype(np.float32, copy=False)
        role = theirs.split(".")[2] if theirs.startswith("blk.") else ""
        if role in heads:
            array = _halves(array, int(heads[role]))  # type: ignore[call-overload]
        state[ours] = torch.from_numpy(np.array(array, dtype=np.float32))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def open_gguf(path: str | Path) -> GGUFReader:
    """Open a GGUF file, memory-mapped; ModelError where it is missing or damaged."""
    if not Path(path).is_file():
        raise ModelError(
            f"The base language model {path} is missing; install the package again or fetch the base model."
        )
    try:
        return GGUFReader(str(path))
    except Exception as error:
        raise ModelError(
            f"The base language model {path} is not a readable GGUF file ({type(error).__name__})."
        ) from None


def llama_names(layers: int) -> dict[str, str]:
    """GGUF name -> transformers name, for every tensor of a tied Llama."""
    names = {EMBEDDING: "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    parts = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    for i in range(layers):
        names |= {f"blk.{i}.{theirs}.weight": f"model.layers.{i}.{ours}.weight" for theirs, ours in parts.items()}
    return names


def _halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows (head, pair, 2) -> (head, 2, pair): llama.cpp's interleaved rotary order back to transformers' halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
