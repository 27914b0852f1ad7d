"""The engine on torch: the Hugging Face model behind the small interface, with functional caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mellow.engines.interface import Cache
from mellow.engines.torch.llama_decoder import decoder_of
from mellow.errors import ModelError
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.types import Encoded

__all__ = ["TorchEngine"]


class TorchEngine:
    """Answers with a `MellowForConditionalGeneration`, on its device and in its precision."""

    def __init__(self, model: MellowForConditionalGeneration) -> None:
        self.model = model.eval()
        self.decoder = decoder_of(model.language_model)
        self.positions = int(model.config.text_config.max_position_embeddings)
        self.device = next(model.parameters()).device
        self.dtype = model.get_input_embeddings().weight.dtype

    @torch.inference_mode()
    def encode(self, mel_FM: np.ndarray) -> Encoded:
        audio_KD, scores = self.model.encode_window(torch.from_numpy(mel_FM).to(self.device))
        if not bool(audio_KD.isfinite().all()):
            raise ModelError("The model produced non-finite values for this clip; its weights are damaged.")
        encoded: Encoded = replace(scores.numpy(), audio_KD=audio_KD.float().cpu().numpy())
        return encoded

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], audio_ND: np.ndarray | None = None) -> np.ndarray:
        ids_BL = torch.tensor([list(ids)], device=self.device)
        audio = torch.from_numpy(audio_ND).to(self.device) if audio_ND is not None else None
        embeds = self.model.embed(ids_BL, audio)
        return np.asarray(embeds[0].float().cpu().numpy())

    @torch.inference_mode()
    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        whole_BT = mask_BL if cache is None else np.concatenate([cache.mask_BL, mask_BL], axis=1)
        positions_BL = np.maximum(whole_BT.cumsum(1) - 1, 0)[:, -mask_BL.shape[1] :]
        logits, state = self.decoder.forward(
            torch.from_numpy(embeds_BLD).to(self.device, self.dtype),
            torch.from_numpy(positions_BL).to(self.device),
            None if whole_BT.all() else torch.from_numpy(whole_BT).to(self.device),  # without padding it is faster
            cache.state if cache is not None else None,
            every=every,
        )
        return logits.float().cpu().numpy(), Cache(whole_BT, state)

    @torch.inference_mode()
    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        if list(rows) == list(range(cache.batch)):
            return cache
        return Cache(cache.mask_BL[list(rows)], self.decoder.take(cache.state, rows))
