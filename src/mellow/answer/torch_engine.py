"""The engine on torch: the Hugging Face model behind the small interface, with functional caches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from mellow.answer.engine import Cache, Heard
from mellow.model.modeling import MellowForConditionalGeneration

__all__ = ["TorchEngine"]

State = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values (B, H, L, D / H) per layer


class TorchEngine:
    """Answers with a `MellowForConditionalGeneration`, on its device and in its precision."""

    def __init__(self, model: MellowForConditionalGeneration) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def encode(self, windows: Sequence[np.ndarray]) -> Heard:
        encoded = self.model.encode([torch.from_numpy(mel_FM).to(self.device) for mel_FM in windows])
        rows_KD, words = self.model.hear(encoded)
        return Heard(rows_KD.float().cpu().numpy(), words, encoded.clip_scores_BC[0].float().cpu().numpy())

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], rows_ND: np.ndarray) -> np.ndarray:
        ids_BL = torch.tensor([list(ids)], device=self.device)
        embeds = self.model.embed(ids_BL, torch.from_numpy(rows_ND).to(self.device))
        return np.asarray(embeds[0].float().cpu().numpy())

    @torch.inference_mode()
    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        whole_BL = mask_BL if cache is None else np.concatenate([cache.mask_BL, mask_BL], axis=1)
        positions_BL = np.maximum(whole_BL.cumsum(1) - 1, 0)[:, -mask_BL.shape[1] :]
        # Without padding no mask is needed, and attention without one is faster.
        mask = None if whole_BL.all() else torch.from_numpy(whole_BL).to(self.device)
        out = self.model.language_model(
            inputs_embeds=torch.from_numpy(embeds_BLD).to(self.device, self.model.language_model.dtype),
            attention_mask=mask,
            position_ids=torch.from_numpy(positions_BL).to(self.device),
            past_key_values=_past(cache),
            use_cache=True,
            logits_to_keep=0 if every else 1,
        )
        state: State = [(layer.keys, layer.values) for layer in out.past_key_values.layers]
        logits = out.logits if every else out.logits[:, -1]
        return logits.float().cpu().numpy(), Cache(whole_BL, state)

    @torch.inference_mode()
    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        index = torch.tensor(list(rows), device=self.device)
        return Cache(cache.mask_BL[list(rows)], [(keys[index], values[index]) for keys, values in cache.state])


def _past(cache: Cache | None) -> DynamicCache:
    """transformers' cache on top of ours: its layers grow by concatenation, so ours are neither copied nor changed."""
    past = DynamicCache()
    for keys, values in cache.state if cache is not None else ():
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        past.layers.append(layer)
    return past
