"""Mellow as a Hugging Face model: encoder, mapper and any causal language model.

Shapes: B batch, F mel frames, M mel bins, T encoder steps, C classes, K audio rows, L tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from mellow.errors import QuestionError
from mellow.model.build import build_encoder, build_events, build_mapper
from mellow.model.configuration import MellowConfig
from mellow.model.encoder import Encoded
from mellow.text.heard import HeardWords
from mellow.text.prompt import CLIP, ROW, HeardClip, expand

__all__ = ["IGNORE", "MellowForConditionalGeneration", "left_pad"]

IGNORE = -100  # label of positions without a loss (Hugging Face's convention)


class MellowForConditionalGeneration(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Answers questions about zero, one or two clips.

    Inputs in Hugging Face style: `input_ids` with one CLIP placeholder per clip, left-padded, `attention_mask`, and
    `features`: for each clip of the batch, in the order of the placeholders, its log-mel windows.
    """

    config_class = MellowConfig
    base_model_prefix = "mellow"
    main_input_name = "input_ids"
    _supports_sdpa = True
    _no_split_modules: ClassVar[list[str]] = ["LlamaDecoderLayer", "GPT2Block"]

    def __init__(self, config: MellowConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config)
        self.mapper = build_mapper(config, self.encoder)
        self.events = build_events(config, self.encoder)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.heard = HeardWords.from_dict(config.heard) if config.heard else None
        self.generation_config = self.language_model.generation_config
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Parts initialise themselves; nothing is drawn again here."""

    def get_input_embeddings(self) -> Any:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        return self.language_model.get_output_embeddings()

    # --- hearing ------------------------------------------------------------------------------------------------------

    def encode(self, windows: Sequence[torch.Tensor]) -> Encoded:
        """Encode one clip of one or more windows (F, M), joined in time: Encoded of B = 1."""
        dtype = next(self.encoder.parameters()).dtype  # the language model may have another one
        parts = [self.encoder(mel_FM[None].to(dtype)) for mel_FM in windows]
        return Encoded(
            frames_BTE=torch.cat([part.frames_BTE for part in parts], 1),
            latent_BE=torch.stack([part.latent_BE for part in parts]).mean(0),
            step_scores_BTC=torch.cat([part.step_scores_BTC for part in parts], 1),
            clip_scores_BC=torch.stack([part.clip_scores_BC for part in parts]).amax(0),
        )

    def hear(self, encoded: Encoded) -> tuple[torch.Tensor, list[int]]:
        """Audio rows (K, D) of one encoded clip, and the ids of the words heard in it."""
        rows_KD = self.mapper(encoded)[0]
        if self.heard is None:
            return rows_KD, []
        scores = [encoded.clip_scores_BC[0], encoded.step_scores_BTC[0]]
        if self.events is not None:
            scores.append(self.events(encoded.frames_BTE)[0])
        return rows_KD, self.heard.ids(*(x.detach().float().cpu().numpy() for x in scores))

    def embed(self, expanded_ids_BL: torch.Tensor, rows_ND: torch.Tensor) -> torch.Tensor:
        """Input embeddings (B, L, D) of expanded ids, with the audio rows of all clips, in order, at ROW."""
        embeds_BLD: torch.Tensor = self.get_input_embeddings()(expanded_ids_BL.clamp(min=0))
        if len(rows_ND):
            embeds_BLD = embeds_BLD.masked_scatter((expanded_ids_BL == ROW)[..., None], rows_ND.to(embeds_BLD.dtype))
        return embeds_BLD

    # --- Hugging Face -------------------------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        features: Sequence[Sequence[torch.Tensor]] | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits, and the loss over the labelled positions where labels are given.

        input_ids, labels: (B, L) with CLIP placeholders; features: the windows of each clip.
        """
        if input_ids is not None and (features is not None or bool((input_ids == CLIP).any())):
            inputs_embeds, attention_mask, labels = self.assemble(input_ids, attention_mask, features or (), labels)
            kwargs.setdefault("position_ids", (attention_mask.cumsum(1) - 1).clamp(min=0))  # not counting the padding
            input_ids = None
        return self.language_model(
            input_ids=input_ids, inputs_embeds=inputs_embeds, attention_mask=attention_mask, labels=labels, **kwargs
        )

    def assemble(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        features: Sequence[Sequence[torch.Tensor]],
        labels: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Expand the placeholders: left-padded embeddings (B, L', D), mask and labels."""
        if int((input_ids == CLIP).sum()) != len(features):
            raise QuestionError(
                f"The prompts hold {int((input_ids == CLIP).sum())} clips, but {len(features)} were given."
            )
        heard = [self.hear(self.encode(windows)) for windows in features]
        clips = iter([HeardClip(len(rows_KD), words) for rows_KD, words in heard])
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        ids: list[list[int]] = []
        targets: list[list[int]] = []
        for b, row in enumerate(input_ids):
            tokens = row[mask[b].bool()].tolist()
            wanted = labels[b][mask[b].bool()].tolist() if labels is not None else [IGNORE] * len(tokens)
            ids.append([])
            targets.append([])
            for token, target in zip(tokens, wanted, strict=True):
                piece = expand([token], [next(clips)]) if token == CLIP else [token]
                ids[-1] += piece
                targets[-1] += [target] if token != CLIP else [IGNORE] * len(piece)
        device = input_ids.device
        ids_BL, mask_BL = left_pad(ids, device=device)
        rows_ND = torch.cat([rows_KD for rows_KD, _ in heard]) if heard else self.get_input_embeddings().weight[:0]
        labels_BL = left_pad(targets, fill=IGNORE, device=device)[0] if labels is not None else None
        return self.embed(ids_BL, rows_ND), mask_BL, labels_BL

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: torch.Tensor | None = None,
        *,
        attention_mask: torch.Tensor | None = None,
        features: Sequence[Sequence[torch.Tensor]] = (),
        **kwargs: Any,
    ) -> Any:
        """transformers' `generate` (cache, beams, sampling, streamers) behind the heard prompt; new ids only."""
        if input_ids is None:
            raise QuestionError("generate needs input_ids; make them with MellowProcessor.")
        embeds_BLD, mask_BL, _ = self.assemble(input_ids, attention_mask, features)
        kwargs.setdefault("pad_token_id", self.config.text_config.eos_token_id)
        return self.language_model.generate(inputs_embeds=embeds_BLD, attention_mask=mask_BL, **kwargs)


def left_pad(
    rows: Iterable[Sequence[int]], *, fill: int = 0, device: torch.device | str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ragged rows as a left-padded (B, L) tensor and its mask."""
    rows = list(rows)
    length = max(map(len, rows))
    ids = np.full((len(rows), length), fill, dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for b, row in enumerate(rows):
        ids[b, length - len(row) :] = row
        mask[b, length - len(row) :] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


AutoConfig.register("mellow", MellowConfig, exist_ok=True)
AutoModel.register(MellowConfig, MellowForConditionalGeneration, exist_ok=True)
AutoModelForCausalLM.register(MellowConfig, MellowForConditionalGeneration, exist_ok=True)
