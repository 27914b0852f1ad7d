"""Writing GGUF language models: a copy with its embedding in fewer bits (what is shipped), or a Llama's weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from mellow.checkpoints.gguf import KINDS as READABLE
from mellow.checkpoints.llama import EMBEDDING, check_total, llama_names
from mellow.errors import ModelError

__all__ = ["open_gguf", "requantise_embedding", "write_llama_gguf"]

BLOCK = 32  # numbers that share a scale in Q4_1 and Q5_1
KINDS = {name: getattr(gguf.GGMLQuantizationType, name) for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16")}


def requantise_embedding(source: str | Path, target: str | Path, *, kind: str) -> None:
    """Write `source` to `target` with the token embedding in `kind`; all other tensors and fields as they are,
    but without chat templates.

    kind: one of Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, F16 (rows are 576 wide, so the 256-wide K-quants do not fit).
    Tensors in kinds that `mellow.checkpoints.gguf` does not read become Q8_0.
    The target appears whole or not at all.
    """
    if kind not in KINDS:
        raise ModelError(f"Unknown embedding kind {kind!r}; known are {', '.join(KINDS)}.")
    reader = open_gguf(source)
    partial = Path(f"{target}.part")
    writer = gguf.GGUFWriter(partial, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name == "general.architecture" or name.startswith(("GGUF.", "tokenizer.chat_template")):
            continue  # a template is a program, which is not used here
        kinds = field.types
        if kinds[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), kinds[0])
    for tensor in reader.tensors:
        data, tensor_kind = tensor.data, tensor.tensor_type
        if tensor.name == EMBEDDING or int(tensor_kind) not in READABLE:
            tensor_kind = KINDS[kind if tensor.name == EMBEDDING else "Q8_0"]
            data = gguf.quants.quantize(
                gguf.quants.dequantize(data, tensor.tensor_type).astype(np.float32), tensor_kind
            )
        writer.add_tensor(tensor.name, data, raw_dtype=tensor_kind)
    _finish(writer, partial, target)


def open_gguf(path: str | Path) -> gguf.GGUFReader:
    """Open a GGUF file with all it holds, words too (seconds); ModelError where it is missing or damaged."""
    if not Path(path).is_file():
        raise ModelError(f"The language model {path} is missing; check the path or fetch it again.")
    try:
        return gguf.GGUFReader(str(path))
    except Exception as error:
        raise ModelError(f"The language model {path} is not a readable GGUF file ({type(error).__name__}).") from None


def write_llama_gguf(target: str | Path, *, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write a Llama with tied embeddings as a GGUF: matrices in Q4_1, the embedding in Q5_1, norms in float32.

    config: its config.json; tensors: float32, by the names of transformers' LlamaForCausalLM (`lm_head.weight` may be
    missing). Query and key rows go into llama.cpp's interleaved rotary order. The file holds no tokenizer.
    The target appears whole or not at all. Raises ModelError for another architecture or tensor names that do not fit.
    """
    settings = _llama_settings(config)
    names = llama_names(settings["layers"])
    check_total(set(names.values()), set(tensors) - {"lm_head.weight"}, what="The checkpoint")
    heads = {"attn_q": settings["heads"], "attn_k": settings["kv_heads"]}
    partial = Path(f"{target}.part")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_block_count(settings["layers"])
    writer.add_context_length(settings["context"])
    writer.add_embedding_length(settings["width"])
    writer.add_feed_forward_length(settings["inner"])
    writer.add_head_count(settings["heads"])
    writer.add_head_count_kv(settings["kv_heads"])
    writer.add_layer_norm_rms_eps(settings["epsilon"])
    writer.add_rope_freq_base(settings["theta"])
    writer.add_rope_dimension_count(settings["width"] // settings["heads"])
    for theirs, ours in names.items():
        array = np.ascontiguousarray(tensors[ours], dtype=np.float32)
        role = theirs.split(".")[2] if theirs.startswith("blk.") else ""
        if role in heads:
            array = _interleaved(array, heads[role])
        if array.ndim == 1:
            writer.add_tensor(theirs, array)
            continue
        kind = KINDS["Q5_1" if theirs == EMBEDDING else "Q4_1"]
        if array.shape[1] % BLOCK:
            raise ModelError(
                f"{ours} has rows of {array.shape[1]} numbers, which is not a multiple of the block size, {BLOCK}."
            )
        writer.add_tensor(theirs, gguf.quants.quantize(array, kind), raw_dtype=kind)
    _finish(writer, partial, target)


def _finish(writer: gguf.GGUFWriter, partial: Path, target: str | Path) -> None:
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    os.replace(partial, target)


def _llama_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF says about a Llama, from its config.json of transformers 4 or 5."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    try:
        heads = int(config["num_attention_heads"])
        settings = {
            "layers": int(config["num_hidden_layers"]),
            "context": int(config["max_position_embeddings"]),
            "width": int(config["hidden_size"]),
            "inner": int(config["intermediate_size"]),
            "heads": heads,
            "kv_heads": int(config.get("num_key_value_heads") or heads),
            "epsilon": float(config["rms_norm_eps"]),
            "theta": float(rope.get("rope_theta") or config["rope_theta"]),
        }
        is_plain = rope.get("rope_type", rope.get("type", "default")) == "default"
        is_square = int(config.get("head_dim") or settings["width"] // heads) * heads == settings["width"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"The checkpoint's config.json is not that of a Llama ({type(error).__name__}: {error})."
        ) from None
    if config.get("model_type") != "llama" or not config.get("tie_word_embeddings") or not is_plain or not is_square:
        raise ModelError("Only Llama checkpoints with tied embeddings and plain rotary positions can be a base.")
    return settings


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows (head, 2, pair) -> (head, pair, 2): transformers' rotary halves to llama.cpp's order."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
    return np.ascontiguousarray(pairs.reshape(rows, columns))
