"""A model's config.json: its encoder, mapper and language model, read and checked in one place.

What a model *is* (architecture, audio tags, choices) is apart from what is said of its *files* (`base`, `adapter`,
`weights`, `graphs`): equal models in other files have equal configs. Keys are an allow-list: nothing else in a
config.json reaches any library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from mellow.encoders import EncoderConfig, EncoderSpec, encoder_spec, sizes_dict
from mellow.encoders.shapes import Shapes, layer_norm, linear
from mellow.errors import ModelError
from mellow.llama import LlamaSpec

__all__ = ["COPIES", "FILE_KEYS", "MODEL_KEYS", "EventHeadConfig", "Layout", "ModelConfig", "read_json"]

Layout = Literal["compact", "published"]
COPIES = 4  # audio tokens per encoder step of the published layout: v0 repeats each 32 times and averages 8

MODEL_KEYS = {
    "encoder": "ced",
    "encoder_config": {},
    "text_config": {},
    "layout": "compact",
    "frames_per_row": 2,
    "tags": {},
    "events": {},
    "choice": {},
}
FILE_KEYS = ("base", "adapter", "weights", "graphs")
HUGGING_FACE_KEYS = {  # what transformers writes into every config.json; of no meaning here
    "_name_or_path",
    "architectures",
    "chunk_size_feed_forward",
    "dtype",
    "id2label",
    "is_encoder_decoder",
    "label2id",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}


GPT2_KEYS = {
    "activation_function",
    "attn_pdrop",
    "bos_token_id",
    "embd_pdrop",
    "eos_token_id",
    "layer_norm_epsilon",
    "model_type",
    "n_embd",
    "n_head",
    "n_inner",
    "n_layer",
    "n_positions",
    "resid_pdrop",
    "tie_word_embeddings",
    "vocab_size",
}


@dataclass(frozen=True)
class EventHeadConfig:
    """Sizes of the event head. width: of its hidden layer; sounds: E, how many it knows."""

    width: int
    sounds: int


@dataclass(frozen=True, eq=False)
class ModelConfig:
    """The architecture of a model.

    spec, sizes: the encoder; text_config: transformers' config of the language model, as a dict with `model_type`.
    layout: `compact` (what we train) or `published` (Mellow v0, exactly).
    frames_per_row: encoder steps averaged into one audio token of the compact layout.
    tags: settings of `text.tags.AudioTags`; empty: none are written into the prompt.
    events: of the event head, whose sounds the tags name; None: there is none.
    choice: settings of `answer.choose.ChoiceRule`.
    files: what config.json says of the files that the model is made of, by FILE_KEYS.
    """

    spec: EncoderSpec
    sizes: EncoderConfig
    text_config: Mapping[str, Any]
    layout: Layout = "compact"
    frames_per_row: int = 2
    tags: Mapping[str, Any] = field(default_factory=dict)
    events: EventHeadConfig | None = None
    choice: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any], *, what: str = "The config") -> ModelConfig:
        """Check the content of a config.json; what: how errors call it, as the beginning of a sentence.

        Raises ModelError for unknown keys, and for kinds and sizes that there are not.
        """
        unknown = sorted(set(settings) - set(MODEL_KEYS) - set(FILE_KEYS) - HUGGING_FACE_KEYS)
        if unknown:
            raise ModelError(f"{what} has unknown keys: {', '.join(map(repr, unknown))}; remove them.")
        found = {name: settings.get(name, default) for name, default in MODEL_KEYS.items()}
        for name, default in MODEL_KEYS.items():
            if isinstance(default, dict) and not isinstance(found[name] or {}, Mapping):
                raise ModelError(f"{what} is damaged: {name} is {found[name]!r}, but it is an object.")
        if found["layout"] not in get_args(Layout):
            raise ModelError(f"Unknown layout {found['layout']!r}; known are {', '.join(get_args(Layout))}.")
        if isinstance(found["frames_per_row"], bool) or not isinstance(found["frames_per_row"], int):
            raise ModelError(f"{what} is damaged: frames_per_row is {found['frames_per_row']!r}, not a whole number.")
        if found["frames_per_row"] < 1:
            raise ModelError(f"{what} is damaged: frames_per_row is {found['frames_per_row']}, but at least 1.")
        spec = encoder_spec(found["encoder"])
        tags = dict(found["tags"] or {})
        return cls(
            spec=spec,
            sizes=spec.sizes(found["encoder_config"]),
            text_config=_language_model(found["text_config"] or {}, what),
            layout=found["layout"],
            frames_per_row=found["frames_per_row"],
            tags=tags,
            events=_events(found["events"], tags, what),
            choice=dict(found["choice"] or {}),
            files={name: settings[name] for name in FILE_KEYS if settings.get(name)},
        )

    @classmethod
    def read(cls, directory: str | Path, *, name: str = "config.json") -> ModelConfig:
        """The config.json (or another such file) of a model directory; ModelError where it is missing or damaged."""
        return cls.from_dict(read_json(directory, name), what=str(Path(directory) / name))

    def to_dict(self) -> dict[str, Any]:
        """As it is written to config.json: every key of the model, and those of files that there are."""
        return {
            "model_type": "mellow",
            "encoder": self.spec.kind,
            "encoder_config": sizes_dict(self.sizes),
            "text_config": dict(self.text_config),
            "layout": self.layout,
            "frames_per_row": self.frames_per_row,
            "tags": dict(self.tags),
            "events": {"width": self.events.width, "sounds": self.events.sounds} if self.events else {},
            "choice": dict(self.choice),
            "tie_word_embeddings": bool(self.text_config.get("tie_word_embeddings", False)),
            **self.files,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def with_files(self, **files: Any) -> ModelConfig:
        """The same model in other files: none of the old records stay."""
        return replace(self, files=files)

    def content_sum(self) -> str:
        """The sha256 of all it says, whatever its layout in a file, but for what is recorded as `graphs.config`."""
        content = json.loads(json.dumps(self.to_dict()))  # as it is read again: keys are texts, tuples are lists
        content.get("graphs", {}).pop("config", None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @cached_property
    def llama(self) -> LlamaSpec:
        """Sizes of the language model; ModelError where it is no plain Llama."""
        return LlamaSpec.from_config(self.text_config)

    @property
    def is_llama(self) -> bool:
        return bool(self.text_config.get("model_type", "llama") == "llama")

    def shapes(self) -> Shapes:
        """Of all tensors of a model on a Llama, by name; a tied output matrix has none of its own."""
        parts = {
            "encoder": self.sizes.shapes(),
            "mapper": self._mapper_shapes(),
            "events": self._event_shapes(),
            "language_model": self.llama.shapes(),
        }
        return {f"{part}.{name}": shape for part, shapes in parts.items() for name, shape in shapes.items()}

    def _mapper_shapes(self) -> Shapes:
        frames, latent, width = self.sizes.frame_width, self.sizes.latent_width, self.llama.width
        if self.layout == "published":
            return {
                **linear("class_to_latent", latent, frames),
                "linear1.weight": (width, latent),
                "linear2.weight": (width, width),
                **layer_norm("norm", width),
            }
        return {
            **layer_norm("norm", frames),
            **linear("linear1", width, frames),
            **linear("linear2", width, width),
            "class_words.weight": (width, self.sizes.classes),
        }

    def _event_shapes(self) -> Shapes:
        if self.events is None:
            return {}
        frames, width = self.sizes.frame_width, self.events.width
        return linear("linear1", width, frames) | linear("linear2", self.events.sounds, width)


def read_json(directory: str | Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON object in a model directory, not yet checked; ModelError where it is missing or damaged."""
    path = Path(directory) / name
    if not path.is_file():
        raise ModelError(f"{directory} is no model directory: {name} is missing.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}).") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from None
    if not isinstance(settings, dict):
        raise ModelError(f"{path} is damaged (it holds no object).")
    return settings


def _language_model(settings: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The sizes of a language model and nothing else: no other key reaches transformers."""
    kind = settings.get("model_type", "llama")
    if kind == "llama":
        try:
            return LlamaSpec.from_config(settings).to_config()
        except ModelError as error:
            raise ModelError(f"{what} has an impossible language model: {error}") from None
    if kind != "gpt2":
        raise ModelError(f"{what} has an unknown language model {kind!r}; known are llama, gpt2.")
    sizes = {name: settings[name] for name in sorted(GPT2_KEYS & set(settings))}
    if not all(value is None or isinstance(value, bool | int | float | str) for value in sizes.values()):
        raise ModelError(f"{what} has an impossible language model: its sizes are numbers.")
    return sizes


def _events(settings: Any, tags: Mapping[str, Any], what: str) -> EventHeadConfig | None:
    if not settings:
        return None
    try:
        head = EventHeadConfig(int(settings["width"]), int(settings["sounds"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{what} has an impossible event head ({type(error).__name__}: {error}).") from None
    named = len(tags.get("sounds") or ())
    if named != head.sounds or head.width < 1:
        raise ModelError(f"{what} has an event head of {head.sounds} sounds, but names for {named}.")
    return head
