"""The sizes of a Llama language model: the one place that reads them from a config.json or a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mellow.encoders.shapes import Shapes
from mellow.errors import ModelError

__all__ = ["EMBEDDING", "SMOLLM2_135M", "LlamaSpec"]

EMBEDDING = "model.embed_tokens.weight"  # transformers' name
LM_HEAD = "lm_head.weight"


@dataclass(frozen=True)
class LlamaSpec:
    """Sizes of a Llama with silu, plain rotary positions and no biases; the defaults of its config are transformers'.

    vocabulary: tokens V; width, inner: of the residual stream D and inside the MLP; key_heads: of keys and values;
    positions: the longest text it was trained on, in tokens; theta: base of the rotary frequencies; epsilon: of norms;
    tied: the embedding is the output matrix, too.
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    positions: int
    theta: float = 10_000.0
    epsilon: float = 1e-6
    tied: bool = False
    bos: int = 1
    eos: int = 2

    def __post_init__(self) -> None:
        sizes = (self.vocabulary, self.width, self.inner, self.layers, self.heads, self.key_heads, self.head_width)
        if min(*sizes, self.positions) < 1:
            raise ModelError(f"The sizes of a Llama are at least 1, and {self} has a smaller one.")
        if self.heads % self.key_heads:
            raise ModelError(f"A Llama's {self.heads} heads cannot share {self.key_heads} heads of keys and values.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LlamaSpec:
        """Read transformers' config (version 4 or 5) as a dict.

        Raises ModelError for another kind of language model, for Llamas of another architecture, and for missing or
        impossible sizes.
        """
        kind = config.get("model_type", "llama")
        if kind != "llama":
            raise ModelError(f"Only Llama language models are supported here, and this one is a {kind!r}.")
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        try:
            if rope.get("rope_type", rope.get("type", "default")) != "default":
                raise ModelError(f"Only Llamas with plain rotary positions are supported, not {rope}.")
            if config.get("hidden_act", "silu") != "silu" or config.get("attention_bias") or config.get("mlp_bias"):
                raise ModelError("Only Llamas with silu and without biases are supported.")
            heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
            return cls(
                vocabulary=int(config["vocab_size"]),
                width=width,
                inner=int(config["intermediate_size"]),
                layers=int(config["num_hidden_layers"]),
                heads=heads,
                key_heads=int(config.get("num_key_value_heads") or heads),
                head_width=int(config.get("head_dim") or width // heads),
                positions=int(config.get("max_position_embeddings") or 2048),
                theta=float(rope.get("rope_theta") or config.get("rope_theta") or cls.theta),
                epsilon=float(config.get("rms_norm_eps", cls.epsilon)),
                tied=bool(config.get("tie_word_embeddings", False)),
                bos=_token(config.get("bos_token_id"), cls.bos),
                eos=_token(config.get("eos_token_id"), cls.eos),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"This is no Llama's config ({type(error).__name__}: {error}).") from None

    def to_config(self) -> dict[str, Any]:
        """As the keyword arguments of transformers' LlamaConfig, and its `model_type`."""
        return {
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head_width,
            "max_position_embeddings": self.positions,
            "rope_theta": self.theta,
            "rms_norm_eps": self.epsilon,
            "tie_word_embeddings": self.tied,
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
        }

    def shapes(self) -> Shapes:
        """Of all tensors under the names of transformers' LlamaForCausalLM; a tied `lm_head` has none of its own."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        layer = {
            "input_layernorm": (self.width,),
            "self_attn.q_proj": (queries, self.width),
            "self_attn.k_proj": (keys, self.width),
            "self_attn.v_proj": (keys, self.width),
            "self_attn.o_proj": (self.width, queries),
            "post_attention_layernorm": (self.width,),
            "mlp.gate_proj": (self.inner, self.width),
            "mlp.up_proj": (self.inner, self.width),
            "mlp.down_proj": (self.width, self.inner),
        }
        shapes: Shapes = {EMBEDDING: (self.vocabulary, self.width), "model.norm.weight": (self.width,)}
        if not self.tied:
            shapes[LM_HEAD] = (self.vocabulary, self.width)
        for i in range(self.layers):
            shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
        return shapes


def _token(found: Any, default: int) -> int:
    return default if found is None else int(found[0] if isinstance(found, list | tuple) else found)


# The language model of Mellow v0 (paper, section 3), as its checkpoint has it.
SMOLLM2_135M = LlamaSpec(
    vocabulary=49_152,
    width=576,
    inner=1536,
    layers=30,
    heads=9,
    key_heads=3,
    head_width=64,
    positions=8192,
    theta=100_000.0,
    epsilon=1e-5,
    tied=True,
    bos=0,
    eos=0,
)
