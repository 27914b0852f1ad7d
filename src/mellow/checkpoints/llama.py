"""A Llama in a GGUF file under transformers' names, by a total key map: unknown or missing names are errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mellow.checkpoints.gguf import GgufFile
from mellow.errors import KeyMapError, ModelError
from mellow.llama import LlamaSpec

__all__ = ["EMBEDDING", "LlamaFile", "check_total", "llama_names"]

EMBEDDING = "token_embd.weight"  # GGUF's name
LAYER = {
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


def check_total(expected: set[str], found: set[str], *, what: str) -> None:
    """Raise KeyMapError unless both sets of tensor names are equal."""
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise KeyMapError(
            f"{what} does not match the key map: {len(missing)} missing {missing[:10]}, "
            f"{len(unknown)} unknown {unknown[:10]}."
        )


def llama_names(layers: int) -> dict[str, str]:
    """GGUF name -> transformers name, for every tensor of a tied Llama."""
    names = {EMBEDDING: "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(layers):
        names |= {f"blk.{i}.{theirs}.weight": f"model.layers.{i}.{ours}.weight" for theirs, ours in LAYER.items()}
    return names


class LlamaFile:
    """The tensors of a file under the names of transformers' LlamaForCausalLM, without the tied `lm_head`.

    spec: its sizes; shapes: of each tensor, by name.
    Raises ModelError or KeyMapError for a file that is missing, damaged, or not a Llama with tied embeddings.
    """

    def __init__(self, path: str | Path) -> None:
        file = GgufFile.open(path)
        self.spec = _spec(file)
        self.heads = {"self_attn.q_proj": self.spec.heads, "self_attn.k_proj": self.spec.key_heads}
        names = llama_names(self.spec.layers)
        check_total(set(names), set(file.tensors), what=str(path))
        self.tensors = {ours: file.tensors[theirs] for theirs, ours in names.items()}
        self.shapes = {name: tensor.shape for name, tensor in self.tensors.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        """A tensor as a new float32 array.

        GGUF stores query and key rows in llama.cpp's interleaved rotary order; they are converted to halves.
        """
        array = self.tensors[name].array()
        heads = next((heads for role, heads in self.heads.items() if role in name), 0)
        return _rotary_halves(array, heads) if heads else array


def _spec(file: GgufFile) -> LlamaSpec:
    if EMBEDDING not in file.tensors:
        raise KeyMapError(f"{file.path} does not match the key map: 1 missing ['{EMBEDDING}'], 0 unknown [].")
    heads, width = int(file.field("llama.attention.head_count")), int(file.field("llama.embedding_length"))
    if heads < 1 or width % heads:
        raise ModelError(f"{file.path} is damaged: {heads} heads do not share a width of {width}.")
    return LlamaSpec(
        vocabulary=file.tensors[EMBEDDING].shape[0],
        width=width,
        inner=int(file.field("llama.feed_forward_length")),
        layers=int(file.field("llama.block_count")),
        heads=heads,
        key_heads=int(file.field("llama.attention.head_count_kv")),
        head_width=width // heads,
        positions=int(file.field("llama.context_length")),
        theta=float(file.field("llama.rope.freq_base")),
        epsilon=round(float(file.field("llama.attention.layer_norm_rms_epsilon")), 9),
        tied=True,
    )


def _rotary_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows (head, pair, 2) -> (head, 2, pair): llama.cpp's interleaved rotary order back to transformers' halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
