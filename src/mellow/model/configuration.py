"""The config of a Mellow model: which encoder, mapper and language model, and how they are joined."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PretrainedConfig

from mellow.stored.settings import check_settings

__all__ = ["MellowConfig"]


class MellowConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is not read by mypy
    """Sizes and kinds of all parts of a model.

    encoder: kind of the audio encoder (`ced`, `htsat`, `cnn14`); encoder_config: its sizes.
    text_config: config of the language model, transformers' own or its dict with the `model_type`.
    layout: `compact` (what we train) or `published` (Mellow v0, exactly).
    frames_per_row: encoder steps averaged into one audio row of the compact layout.
    heard: settings of `HeardWords`, the strongest classes written as words behind a clip's audio rows; empty: none.
    events: sizes of the event head, {"width", "sounds"}, whose sounds `heard` names; empty: there is none.
    base: the language model's file that a two-part model stands on: {"file", "sha256"}; empty for a one-part model.
    adapter: rank and alpha of the low-rank adapters of a two-part model: {"rank", "alpha"}.
    choice: how options are scored (`mellow.answer.choose.ChoiceRule`).
    weights: what the file of all tensors, or of the trained ones, was when it was written: {"bytes", "sha256"}.
    """

    model_type = "mellow"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    def __init__(
        self,
        *,
        encoder: str = "ced",
        encoder_config: dict[str, Any] | None = None,
        text_config: Any = None,
        layout: str = "compact",
        frames_per_row: int = 2,
        heard: dict[str, Any] | None = None,
        events: dict[str, int] | None = None,
        base: dict[str, Any] | None = None,
        adapter: dict[str, Any] | None = None,
        choice: dict[str, float] | None = None,
        weights: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_settings({"encoder": encoder, "layout": layout})
        self.encoder = encoder
        self.encoder_config = dict(encoder_config or {})
        if isinstance(text_config, dict) or text_config is None:
            settings = dict(text_config or {"model_type": "llama"})
            text_config = AutoConfig.for_model(settings.pop("model_type", "llama"), **settings)
        self.text_config = text_config
        self.layout = layout
        self.frames_per_row = frames_per_row
        self.heard = dict(heard or {})
        self.events = dict(events or {})
        self.base = dict(base or {})
        self.adapter = dict(adapter or {})
        self.choice = dict(choice or {})
        self.weights = dict(weights or {})
        kwargs.setdefault("tie_word_embeddings", bool(text_config.tie_word_embeddings))
        super().__init__(**kwargs)
