"""Running a language model with a KV cache: any through transformers, Llamas with a fraction of its overhead.

transformers spends about 15 ms per token of a 30-layer Llama on bookkeeping, as long as reading 135 M weights in
bfloat16 takes. `LlamaDecoder` runs the same modules in the same order, about 20 operations per layer, on a KV buffer
that grows in place. A cache is still a value: computing further positions does not change it.

Shapes: B batch, L new positions, T all positions, D width, F inner width, H query heads, K key heads, E width of a
head, V vocabulary.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM
from transformers.cache_utils import DynamicCache, DynamicLayer

__all__ = ["Decoder", "LlamaDecoder", "TransformersDecoder", "decoder_of"]

GROWTH = 64  # positions by which a cache can grow before it is copied
FEW_ROWS = 16  # of activations; see `_linear`


class Decoder(Protocol):
    """Computes logits and the new KV cache of embeddings that follow a cache (None: an empty one)."""

    def forward(
        self,
        embeds_BLD: torch.Tensor,
        positions_BL: torch.Tensor,
        mask_BT: torch.Tensor | None,
        past: Any,
        *,
        every: bool,
    ) -> tuple[torch.Tensor, Any]:
        """Logits (B, V) of the last position, or of every new one (B, L, V); mask_BT: 0 at padding, None without."""
        ...

    def take(self, past: Any, rows: Sequence[int]) -> Any:
        """The cache of these rows of its batch."""
        ...


def decoder_of(language_model: Any) -> Decoder:
    """The fastest decoder for a language model."""
    return LlamaDecoder(language_model) if _is_plain_llama(language_model) else TransformersDecoder(language_model)


class TransformersDecoder:
    """Any causal language model of transformers; its cache is a list of keys and values (B, K, T, E) per layer."""

    def __init__(self, language_model: Any) -> None:
        self.language_model = language_model
        parameters = inspect.signature(language_model.forward).parameters
        self.cache_argument = "cache" if "cache" in parameters else "past_key_values"  # before transformers 5.24

    def forward(
        self,
        embeds_BLD: torch.Tensor,
        positions_BL: torch.Tensor,
        mask_BT: torch.Tensor | None,
        past: Any,
        *,
        every: bool,
    ) -> tuple[torch.Tensor, Any]:
        cache = DynamicCache()
        for keys, values in past or ():
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values  # grows by concatenation: ours stay unchanged
            cache.layers.append(layer)
        out = self.language_model(
            inputs_embeds=embeds_BLD,
            attention_mask=mask_BT,
            position_ids=positions_BL,
            use_cache=True,
            logits_to_keep=0 if every else 1,
            **{self.cache_argument: cache},
        )
        logits: torch.Tensor = out.logits if every else out.logits[:, -1]
        return logits, [(layer.keys, layer.values) for layer in cache.layers]  # filled by the model

    def take(self, past: Any, rows: Sequence[int]) -> Any:
        return [(keys[list(rows)], values[list(rows)]) for keys, values in past]


class KVBuffer:
    """Keys and values of all layers, with spare capacity; a cache is its first positions, and only the newest can grow.

    both: (2, layers, B, K, capacity, E); filled: positions that belong to some cache.
    """

    def __init__(self, both: torch.Tensor, filled: int) -> None:
        self.both = both
        self.filled = filled
        self.lock = threading.Lock()

    def reserve(self, length: int, new: int) -> bool:
        """Reserve `new` positions after a cache of this length, if they are still free."""
        with self.lock:
            free = self.filled == length and length + new <= self.both.shape[4]
            if free:
                self.filled += new
            return free


@dataclass(frozen=True, eq=False)
class KVCache:
    """The first `length` positions of a buffer."""

    buffer: KVBuffer
    length: int


class LlamaDecoder:
    """A `LlamaForCausalLM` with plain rotary positions: transformers' modules without its bookkeeping."""

    def __init__(self, language_model: Any) -> None:
        config = language_model.config
        self.model = language_model.model
        self.head = language_model.lm_head
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_width = self.model.layers[0].self_attn.head_dim
        self.eps = config.rms_norm_eps

    def forward(
        self,
        embeds_BLD: torch.Tensor,
        positions_BL: torch.Tensor,
        mask_BT: torch.Tensor | None,
        past: Any,
        *,
        every: bool,
    ) -> tuple[torch.Tensor, Any]:
        batch, length, _ = embeds_BLD.shape
        start = past.length if past is not None else 0
        buffer = self._buffer_with_capacity(past, embeds_BLD)
        keys_NBKTE, values_NBKTE = buffer.both[:, :, :, :, : start + length]
        rotation = self._rotation(positions_BL, embeds_BLD.dtype)
        visible = _visible(mask_BT, length, start, embeds_BLD.device)
        x_BLD = embeds_BLD
        for layer, keys_BKTE, values_BKTE in zip(self.model.layers, keys_NBKTE, values_NBKTE, strict=True):
            attention, mlp = layer.self_attn, layer.mlp
            y_BLD = self._norm(x_BLD, layer.input_layernorm)
            joined = torch.cat([_linear(attention.q_proj, y_BLD), _linear(attention.k_proj, y_BLD)], -1)
            rotated_BLHE = _rotate(joined.view(batch, length, -1, self.head_width), *rotation)  # query heads, key heads
            keys_BKTE[:, :, start:] = rotated_BLHE[:, :, self.heads :].transpose(1, 2)
            values_BLKE = _linear(attention.v_proj, y_BLD).view(batch, length, self.key_heads, self.head_width)
            values_BKTE[:, :, start:] = values_BLKE.transpose(1, 2)
            mixed_BLD = self._attend(rotated_BLHE[:, :, : self.heads], keys_BKTE, values_BKTE, visible)
            x_BLD = x_BLD + _linear(attention.o_proj, mixed_BLD)
            y_BLD = self._norm(x_BLD, layer.post_attention_layernorm)
            y_BLF = functional.silu(_linear(mlp.gate_proj, y_BLD)) * _linear(mlp.up_proj, y_BLD)
            x_BLD = x_BLD + _linear(mlp.down_proj, y_BLF)
        logits = _linear(self.head, self._norm(x_BLD if every else x_BLD[:, -1], self.model.norm))
        return logits, KVCache(buffer, start + length)

    def take(self, past: Any, rows: Sequence[int]) -> Any:
        both = past.buffer.both[..., : past.length, :]
        same = len(set(rows)) == 1
        chosen = both[:, :, rows[0], None].expand(-1, -1, len(rows), -1, -1, -1) if same else both[:, :, list(rows)]
        return KVCache(KVBuffer(chosen, past.length), past.length)  # no spare capacity: the next pass copies it

    def _buffer_with_capacity(self, past: KVCache | None, embeds_BLD: torch.Tensor) -> KVBuffer:
        """A buffer that holds a cache and has capacity for the new positions."""
        batch, new, _ = embeds_BLD.shape
        length = past.length if past is not None else 0
        if past is not None and past.buffer.reserve(length, new):
            return past.buffer
        shape = (2, len(self.model.layers), batch, self.key_heads, length + new + GROWTH, self.head_width)
        both = embeds_BLD.new_empty(shape)
        if past is not None:
            both[..., :length, :] = past.buffer.both[..., :length, :]
        return KVBuffer(both, length + new)

    def _attend(
        self,
        queries_BLHE: torch.Tensor,
        keys_BKTE: torch.Tensor,
        values_BKTE: torch.Tensor,
        visible: torch.Tensor | None,
    ) -> torch.Tensor:
        """Mixed values (B, L, H * E). Each key head serves H / K query heads."""
        batch, length, heads, width = queries_BLHE.shape
        group = heads // self.key_heads
        if length == 1:  # the query heads of a key head take the place of positions, so that nothing is repeated
            queries = queries_BLHE.view(batch, self.key_heads, group, width)
            mixed = functional.scaled_dot_product_attention(queries, keys_BKTE, values_BKTE, attn_mask=visible)
            return mixed.reshape(batch, 1, heads * width)
        keys, values = (x.repeat_interleave(group, 1) for x in (keys_BKTE, values_BKTE))
        queries = queries_BLHE.transpose(1, 2)
        causal = visible is None
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=visible, is_causal=causal)
        return mixed.transpose(1, 2).reshape(batch, length, heads * width)

    def _rotation(self, positions_BL: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines of the positions, each (B, L, 1, E)."""
        angles = positions_BL[..., None, None].float() * self.model.rotary_emb.inv_freq
        cosine, sine = angles.cos(), angles.sin()
        return torch.cat([cosine, cosine], -1).to(dtype), torch.cat([-sine, sine], -1).to(dtype)

    def _norm(self, x: torch.Tensor, norm: Any) -> torch.Tensor:
        return functional.rms_norm(x, norm.weight.shape, norm.weight, self.eps)


def _linear(linear: Any, x: torch.Tensor) -> torch.Tensor:
    """A linear layer's output (..., N) for x (..., K).

    On CPUs, torch uses its kernel for large bfloat16 matrices for a few rows as well; for these, the products here are
    up to twice as fast (measured: 29 ms and 20 ms for all weights of a 135 M model and one row, on two cores).
    """
    rows = x.numel() // x.shape[-1]
    few = x.dtype == torch.bfloat16 and rows <= FEW_ROWS and x.device.type == "cpu"
    if not few or type(linear) is not nn.Linear or linear.bias is not None:
        out: torch.Tensor = linear(x)
        return out
    x_RK = x.reshape(rows, -1)
    out_RN = torch.mv(linear.weight, x_RK[0]) if rows == 1 else (linear.weight @ x_RK.T).T
    return out_RN.reshape(*x.shape[:-1], -1)


def _rotate(x_BLHE: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotate each head's halves: (a cos - b sin, b cos + a sin)."""
    return torch.addcmul(x_BLHE * cosine, x_BLHE.roll(x_BLHE.shape[-1] // 2, -1), sine)


def _visible(mask_BT: torch.Tensor | None, length: int, start: int, device: torch.device) -> torch.Tensor | None:
    """What each new position attends to, True where it does: (B or 1, 1, L, T); None for plain causal order.

    Padding attends to itself at least, since attention to nothing is not a number.
    """
    if mask_BT is None and (length == 1 or start == 0):
        return None
    order_LT = torch.ones(length, start + length, dtype=torch.bool, device=device).tril(start)
    if mask_BT is None:
        return order_LT[None, None]
    itself_LT = torch.zeros_like(order_LT)
    itself_LT.diagonal(start).fill_(True)
    return ((order_LT & mask_BT.bool()[:, None, :]) | itself_LT)[:, None]


def _is_plain_llama(language_model: Any) -> bool:
    if type(language_model) is not LlamaForCausalLM:
        return False
    config, rotary = language_model.config, language_model.model.rotary_emb
    plain = getattr(rotary, "rope_type", None) == "default" and getattr(rotary, "attention_scaling", None) == 1.0
    return plain and config.hidden_act == "silu" and getattr(config, "pretraining_tp", 1) == 1
