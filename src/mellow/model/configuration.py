"""The config of a Mellow model in transformers' shape; what it says is read and checked by `mellow.config`."""

from __future__ import annotations

import os
from copy import copy
from typing import Any, ClassVar

from transformers import AutoConfig, PretrainedConfig

from mellow.config import FILE_KEYS, MODEL_KEYS, ModelConfig

__all__ = ["MellowConfig"]


class MellowConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is not read by mypy
    """The keys of config.json as attributes; `text_config` is the language model's own config of transformers.

    Takes the keyword arguments that `ModelConfig` describes, and those of every config of transformers.
    """

    model_type = "mellow"
    has_no_defaults_at_init = True  # there is no model without the sizes of its language model
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    def __init__(self, **kwargs: Any) -> None:
        ours = {name: kwargs.pop(name) for name in [*MODEL_KEYS, *FILE_KEYS] if kwargs.get(name) is not None}
        if isinstance(ours.get("text_config"), PretrainedConfig):
            ours["text_config"] = ours["text_config"].to_dict()
        found = ModelConfig.from_dict(ours)
        text = dict(found.text_config)
        for name, value in found.to_dict().items():
            if name != "model_type":
                setattr(self, name, value)
        self.text_config = AutoConfig.for_model(text.pop("model_type"), **text)
        kwargs.setdefault("tie_word_embeddings", bool(self.text_config.tie_word_embeddings))
        super().__init__(**kwargs)

    @classmethod
    def of(cls, config: ModelConfig) -> MellowConfig:
        """The same in transformers' shape."""
        return cls(**config.to_dict())

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Write the model's config alone: what it says of files is about those that the model was read from."""
        bare = copy(self)
        for name in FILE_KEYS:
            bare.__dict__.pop(name, None)
        return super(MellowConfig, bare).save_pretrained(save_directory, **kwargs)

    @property
    def model(self) -> ModelConfig:
        """What it says, checked."""
        settings = {name: getattr(self, name) for name in [*MODEL_KEYS, *FILE_KEYS] if hasattr(self, name)}
        return ModelConfig.from_dict({**settings, "text_config": self.text_config.to_dict()})
