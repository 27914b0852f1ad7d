"""config.json as a dict: what a model directory says about itself, for whoever does not have transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellow.errors import ModelError

__all__ = ["ELSEWHERE", "ENCODERS", "LAYOUTS", "check_settings", "known_settings", "read_settings"]

ENCODERS = ("ced", "htsat", "cnn14")
LAYOUTS = ("compact", "published")
ELSEWHERE = ("base", "adapter", "weights")  # what is said of the files that a model is made of
# What transformers writes about any model; nobody here acts on it.
GENERAL = """_name_or_path architectures chunk_size_feed_forward dtype id2label is_encoder_decoder label2id model_type
    output_attentions output_hidden_states problem_type return_dict tie_word_embeddings transformers_version"""
# All that a config may say, as some of transformers' other settings fetch and run code (CVE-2026-4372).
KNOWN = frozenset(
    f"""{GENERAL} encoder encoder_config text_config layout frames_per_row heard events base adapter choice weights
    graphs""".split()
)
KNOWN_OF_LLAMA = frozenset(
    f"""{GENERAL} attention_bias attention_dropout bos_token_id eos_token_id head_dim hidden_act hidden_size
    initializer_range intermediate_size max_position_embeddings mlp_bias num_attention_heads num_hidden_layers
    num_key_value_heads pad_token_id pretraining_tp rms_norm_eps rope_parameters rope_scaling rope_theta use_cache
    vocab_size""".split()
)


def read_settings(directory: Path, name: str = "config.json") -> dict[str, Any]:
    """The config.json (or another such file) of a model directory; ModelError where it is missing or damaged."""
    path = directory / name
    if not path.is_file():
        raise ModelError(f"{directory} is no model directory: {name} is missing.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error}).") from None
    if not isinstance(settings, dict):
        raise ModelError(f"{path} is damaged (it holds no object).")
    return settings


def known_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what nobody here reads: what other versions of transformers add."""
    text = settings.get("text_config")
    known = {name: setting for name, setting in settings.items() if name in KNOWN}
    if isinstance(text, dict):
        known["text_config"] = {name: setting for name, setting in text.items() if name in KNOWN_OF_LLAMA}
    return known


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ModelError for an unknown key, an encoder, layout or language model that there is not, and impossible
    frames per row."""
    _check_language_model(settings.get("text_config", {}))
    if unknown := sorted(set(settings) - KNOWN):
        raise ModelError(f"config.json has the unknown key {unknown[0][:80]!r}; make the model again, or remove it.")
    pool = settings.get("frames_per_row", 1)
    if not isinstance(pool, int) or pool < 1:
        raise ModelError(f"config.json is damaged: frames_per_row is {pool!r}, but it is a number of at least 1.")
    for name, known in (("encoder", ENCODERS), ("layout", LAYOUTS)):
        if settings.get(name, known[0]) not in known:
            raise ModelError(f"Unknown {name} {settings[name]!r}; known are {', '.join(known)}.")


def _check_language_model(text: Any) -> None:
    if not isinstance(text, dict):
        raise ModelError(f"config.json is damaged: text_config is {str(text)[:80]!r}, but it is an object.")
    kind = text.get("model_type", "llama")
    if kind != "llama":
        raise ModelError(f"config.json names the language model {str(kind)[:80]!r}; the only one known is llama.")
    if unknown := sorted(set(text) - KNOWN_OF_LLAMA):
        raise ModelError(
            f"config.json has the unknown key {unknown[0][:80]!r} in text_config; make the model again, or remove it."
        )
