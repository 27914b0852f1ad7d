"""Importers of the two pretrained halves of the bundled model, by total key maps: unknown or missing names are errors.

CED from its ONNX export (weights only, int8 per tensor); a language model from a GGUF file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from onnx import numpy_helper

from mellow.errors import KeyMapError, ModelError
from mellow.model.ced import CedConfig

__all__ = ["check_total", "llama_config_of_gguf", "read_ced_onnx", "read_llama_gguf"]

EMBEDDING = "token_embd.weight"  # GGUF's name


def check_total(expected: set[str], found: set[str], *, what: str) -> None:
    """Raise KeyMapError unless both sets of tensor names are equal."""
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise KeyMapError(
            f"{what} does not match the key map: {len(missing)} missing {missing[:10]}, "
            f"{len(unknown)} unknown {unknown[:10]}."
        )


# --- CED ------------------------------------------------------------------------------------------------------------


def read_ced_onnx(path: str | Path, config: CedConfig | None = None) -> dict[str, torch.Tensor]:
    """Read the weights of a CED ONNX export into the names of our `Ced`.

    The export keeps PyTorch names for biases, norms and positions; its matrices carry export names (`val_87`) and are
    transposed (in, out). They are told apart by the graph: each MatMul with a constant feeds the Add of a named bias
    or, where biases are fused, stands in block order qkv, proj, fc1, fc2.
    """
    config = config or CedConfig()
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:
        raise ModelError(f"{path} is not a readable ONNX file ({type(error).__name__}).") from None
    values = _dequantised(graph)
    matrices = [values.pop(node.input[1]) for node in graph.node if node.op_type == "MatMul" and _is_matrix(node, values)]
    named = {name: array for name, array in values.items() if name.startswith("model.") or name == "alias"}

    state: dict[str, np.ndarray] = {}
    for theirs, ours in _ced_names(config).items():
        if theirs in named:
            state[ours] = named.pop(theirs)
    check_total(set(), set(named), what=str(path))
    roles = [f"blocks.{i}.{role}.weight" for i in range(config.depth) for role in ("qkv", "proj", "fc1", "fc2")]
    if len(matrices) != len(roles):
        raise KeyMapError(f"{path} holds {len(matrices)} matrices where {len(roles)} were expected.")
    state |= {ours: np.ascontiguousarray(matrix.T) for ours, matrix in zip(roles, matrices, strict=True)}
    check_total({*_ced_names(config).values(), *roles}, set(state), what=str(path))
    return {name: torch.from_numpy(np.array(array, dtype=np.float32)) for name, array in state.items()}


def _dequantised(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Initialisers as float32, int8 ones (`X_q`, `X_s`, `X_z`) under the plain name X; shape constants are left out."""
    raw = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values = {}
    for name, array in raw.items():
        if name.endswith("_q"):
            stem = name[:-2]
            if missing := {f"{stem}_s", f"{stem}_z"} - set(raw):
                raise KeyMapError(f"The int8 tensor {name} of the encoder lacks {', '.join(sorted(missing))}.")
            values[stem] = (array.astype(np.float32) - np.float32(raw[f"{stem}_z"])) * np.float32(raw[f"{stem}_s"])
        elif array.dtype == np.float32 and not name.endswith("_s"):
            values[name] = array
    return values


def _is_matrix(node: onnx.NodeProto, values: Mapping[str, np.ndarray]) -> bool:
    """Whether a MatMul multiplies by an unnamed constant; renames its input to the dequantised constant's name."""
    stem = node.input[1].removesuffix("_dq")
    if stem in values and stem.startswith("val_") and values[stem].ndim == 2:
        node.input[1] = stem
        return True
    return False


def _ced_names(config: CedConfig) -> dict[str, str]:
    """Their name -> ours, for all tensors that keep a PyTorch name in the export."""
    names = {f"model.encoder.init_bn.{part}": f"init_bn.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    names |= {
        "model.encoder.patch_embed.proj.weight": "patch.weight",
        "model.encoder.patch_embed.proj.bias": "patch.bias",
        "model.encoder.time_pos_embed": "time_position",
        "alias": "frequency_position",
    }
    for part in ("weight", "bias"):
        names |= {
            f"model.encoder.norm.{part}": f"norm.{part}",
            f"model.outputlayer.0.{part}": f"head_norm.{part}",
            f"model.outputlayer.1.{part}": f"head.{part}",
        }
        for i in range(config.depth):
            for norm in ("norm1", "norm2"):
                names[f"model.encoder.blocks.{i}.{norm}.{part}"] = f"blocks.{i}.{norm}.{part}"
    for i in range(config.depth):
        for theirs, ours in (("attn.qkv", "qkv"), ("attn.proj", "proj"), ("mlp.fc1", "fc1"), ("mlp.fc2", "fc2")):
            names[f"model.encoder.blocks.{i}.{theirs}.bias"] = f"blocks.{i}.{ours}.bias"
    return names


# --- language model from GGUF -----------------------------------------------------------------------------------------


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
        raise ModelError(f"The base language model {path} is missing; install the package again or fetch the base model.")
    try:
        return GGUFReader(str(path))
    except Exception as error:
        raise ModelError(f"The base language model {path} is not a readable GGUF file ({type(error).__name__}).") from None


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
