"""Mellow as a Hugging Face model: encoder, mapper and any causal language model.

Shapes: B batch, F mel frames, M mel bins, T encoder steps, C classes, K audio tokens, L tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from mellow.errors import QuestionError
from mellow.events import StepClock
from mellow.model.build import build_encoder, build_events, build_mapper
from mellow.model.configuration import MellowConfig
from mellow.model.encoder import EncoderOutput
from mellow.processor import join_windows
from mellow.text.prompt import AUDIO, CLIP, IGNORE, ClipTokens, expand
from mellow.text.tags import AudioTags, TagSettings
from mellow.text.tokenizer import Tokenizer
from mellow.types import Encoded

__all__ = ["MellowForConditionalGeneration", "Scores", "left_pad"]


class Scores(NamedTuple):
    """What a window is recognised as: class logits of the clip (C) and of each step (T, C), events (T, E) or None."""

    clip_C: torch.Tensor
    step_TC: torch.Tensor
    event_TE: torch.Tensor | None

    def numpy(self) -> Encoded:
        """The scores alone, without audio tokens."""
        arrays = [x.detach().float().cpu().numpy() if x is not None else None for x in self]
        return Encoded(np.zeros((0, 0), np.float32), *arrays)  # type: ignore[arg-type]


class MellowForConditionalGeneration(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Answers questions about zero, one or two clips.

    tags: writes what is recognised in a clip behind its audio tokens, where the config has tags; see `with_tokenizer`.

    Inputs in Hugging Face style: `input_ids` with one CLIP placeholder per clip, left-padded, `attention_mask`, and
    `features`: for each clip of the batch, in the order of the placeholders, its log-mel windows.
    """

    config_class = MellowConfig
    base_model_prefix = "mellow"
    main_input_name = "input_ids"
    _supports_sdpa = True
    _keys_to_ignore_on_load_missing: ClassVar[list[str]] = [r"\.num_batches_tracked$"]
    _no_split_modules: ClassVar[list[str]] = ["LlamaDecoderLayer", "GPT2Block"]

    def __init__(self, config: MellowConfig) -> None:
        super().__init__(config)
        parts = config.model
        self.encoder = build_encoder(parts)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.mapper = build_mapper(parts, self.get_input_embeddings().embedding_dim)
        self.events = build_events(parts)
        self.tags: AudioTags | None = None
        self.generation_config = self.language_model.generation_config
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Parts initialise themselves; only batch norms' counters, which checkpoints leave out, begin at zero."""
        counter = getattr(module, "num_batches_tracked", None)
        if counter is not None and not getattr(counter, "_is_hf_initialized", False):
            counter.zero_()

    def train(self, mode: bool = True) -> MellowForConditionalGeneration:
        """As every module's, but a frozen encoder stays as it is: its batch norms would learn from each batch."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def get_input_embeddings(self) -> Any:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        return self.language_model.get_output_embeddings()

    # --- encoding -----------------------------------------------------------------------------------------------------

    def set_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Write audio tags with this tokenizer from now on, where the config has tags."""
        config = self.config.model
        if config.tags:
            self.tags = AudioTags(TagSettings.from_dict(config.tags), tokenizer, StepClock.of(config.sizes))

    def encode_window(self, mel_FM: torch.Tensor) -> tuple[torch.Tensor, Scores]:
        """Audio tokens (K, D) of one window of log-mel, with its gradient, and what was recognised in it."""
        dtype = next(self.encoder.parameters()).dtype  # the language model may have another one
        encoded: EncoderOutput = self.encoder(mel_FM[None].to(dtype))
        events = self.events(encoded.frames_BTE)[0] if self.events is not None else None
        return self.mapper(encoded)[0], Scores(encoded.clip_scores_BC[0], encoded.step_scores_BTC[0], events)

    def encode(self, windows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
        """Audio tokens (K, D) of a clip of one or more windows (F, M), in order, and the token ids of its tags."""
        if self.tags is None and self.config.tags:
            raise QuestionError(
                "The model writes audio tags, so give it its tokenizer first: model.set_tokenizer(...)."
            )
        parts = [self.encode_window(mel_FM) for mel_FM in windows]
        audio_KD = torch.cat([audio for audio, _ in parts])
        if self.tags is None:
            return audio_KD, []
        clip = join_windows([scores.numpy() for _, scores in parts])
        return audio_KD, self.tags.ids(clip.clip_scores_C, clip.step_scores_TC, clip.event_scores_TE)

    def embed(self, expanded_ids_BL: torch.Tensor, audio_ND: torch.Tensor | None = None) -> torch.Tensor:
        """Input embeddings (B, L, D) of expanded ids, with the audio tokens of all clips, in order, at AUDIO."""
        embeds_BLD: torch.Tensor = self.get_input_embeddings()(expanded_ids_BL.clamp(min=0))
        if audio_ND is not None:
            places = (expanded_ids_BL == AUDIO)[..., None]
            embeds_BLD = embeds_BLD.masked_scatter(places, audio_ND.to(embeds_BLD.dtype))
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
        encoded = [self.encode(windows) for windows in features]
        clips = iter([ClipTokens(len(audio_KD), tags) for audio_KD, tags in encoded])
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
        audio_ND = torch.cat([audio_KD for audio_KD, _ in encoded]) if encoded else None
        labels_BL = left_pad(targets, fill=IGNORE, device=device)[0] if labels is not None else None
        return self.embed(ids_BL, audio_ND), mask_BL, labels_BL

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: torch.Tensor | None = None,
        *,
        attention_mask: torch.Tensor | None = None,
        features: Sequence[Sequence[torch.Tensor]] = (),
        **kwargs: Any,
    ) -> Any:
        """transformers' `generate` (cache, beams, decoding, streamers) behind the assembled prompt; new ids only."""
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
