"""Names and shapes of all tensors of a CED model in the compact layout on a Llama, from its config.json alone.

They equal those of `MellowForConditionalGeneration` (tested), so that a model is checked whole where torch is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mellow.errors import ModelError
from mellow.stored.llama import check_total, llama_names

__all__ = ["check_shapes", "expected_shapes", "has_shapes"]

Shapes = dict[str, tuple[int, ...]]

PATCH = 16  # mel bins and frames per patch of CED
MAX_STEPS = 63  # learned time positions of CED
CED_TINY = {"width": 192, "depth": 12, "heads": 3, "mlp_ratio": 4, "mel_bins": 64, "classes": 527}


def has_shapes(settings: Mapping[str, Any]) -> bool:
    """Whether a config is of the kind described here."""
    text = settings.get("text_config")
    is_llama = isinstance(text, dict) and text.get("model_type", "llama") == "llama"
    return is_llama and settings.get("encoder", "ced") == "ced" and settings.get("layout", "compact") == "compact"


def check_shapes(found: Mapping[str, tuple[int, ...]], settings: Mapping[str, Any], *, what: str) -> None:
    """Raise KeyMapError for missing or unknown tensors, ModelError for unfit shapes or an impossible config.

    what: what errors call the model, as the beginning of a sentence.
    """
    try:
        expected = expected_shapes(settings)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ModelError(f"{what} has an impossible config ({type(error).__name__}: {error}).") from None
    check_total(set(expected), set(found), what=what)
    for name, shape in expected.items():
        if found[name] != shape:
            raise ModelError(f"{what} has tensors of unfit shapes ({name} has {found[name]}, not {shape}).")


def expected_shapes(settings: Mapping[str, Any]) -> Shapes:
    """Of all tensors, by name; raises ModelError, KeyError, TypeError or ValueError for impossible sizes."""
    sizes = settings.get("encoder_config") or {}
    unknown = sorted(set(sizes) - set(CED_TINY))
    if unknown:
        raise ModelError(f"The encoder ced has no size {', '.join(unknown)}.")
    ced = {name: int(size) for name, size in {**CED_TINY, **sizes}.items()}
    if min(ced.values()) < 1 or ced["width"] % ced["heads"] or ced["mel_bins"] % PATCH:
        raise ModelError(
            f"CED's width must be a multiple of its heads and its mel bins one of {PATCH}, "
            f"not {ced['width']} of {ced['heads']} and {ced['mel_bins']}."
        )
    frame_width = ced["mel_bins"] // PATCH * ced["width"]
    width = int(settings["text_config"]["hidden_size"])
    mapper = {
        **_norm("mapper.norm", frame_width),
        **_linear("mapper.linear1", width, frame_width),
        **_linear("mapper.linear2", width, width),
        "mapper.class_words.weight": (width, ced["classes"]),
    }
    return _ced(ced) | mapper | _events(settings, frame_width) | _llama(settings["text_config"])


def _ced(ced: Mapping[str, int]) -> Shapes:
    width, bins, inner = ced["width"], ced["mel_bins"], ced["mlp_ratio"] * ced["width"]
    shapes: Shapes = {
        **_norm("encoder.init_bn", bins),
        "encoder.init_bn.running_mean": (bins,),
        "encoder.init_bn.running_var": (bins,),
        "encoder.patch.weight": (width, 1, PATCH, PATCH),
        "encoder.patch.bias": (width,),
        "encoder.time_position": (1, width, 1, MAX_STEPS),
        "encoder.frequency_position": (1, width, bins // PATCH, 1),
        **_norm("encoder.norm", width),
        **_norm("encoder.head_norm", width),
        **_linear("encoder.head", ced["classes"], width),
    }
    for i in range(ced["depth"]):
        block = f"encoder.blocks.{i}"
        shapes |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
        shapes |= _linear(f"{block}.qkv", 3 * width, width) | _linear(f"{block}.proj", width, width)
        shapes |= _linear(f"{block}.fc1", inner, width) | _linear(f"{block}.fc2", width, inner)
    return shapes


def _events(settings: Mapping[str, Any], frame_width: int) -> Shapes:
    events = settings.get("events")
    if not events:
        return {}
    width, sounds = int(events["width"]), int(events["sounds"])
    named = len((settings.get("heard") or {}).get("events", ()))
    if named != sounds:
        raise ModelError(f"The config has {sounds} events, but heard words for {named}.")
    return _linear("events.linear1", width, frame_width) | _linear("events.linear2", sounds, width)


def _llama(text: Mapping[str, Any]) -> Shapes:
    width, inner, heads = (int(text[n]) for n in ("hidden_size", "intermediate_size", "num_attention_heads"))
    head_width = int(text.get("head_dim") or width // heads)
    rows = heads * head_width, int(text.get("num_key_value_heads") or heads) * head_width
    matrices = {
        "embed_tokens": (int(text["vocab_size"]), width),
        "q_proj": (rows[0], width),
        "k_proj": (rows[1], width),
        "v_proj": (rows[1], width),
        "o_proj": (width, rows[0]),
        "gate_proj": (inner, width),
        "up_proj": (inner, width),
        "down_proj": (width, inner),
    }
    names = llama_names(int(text["num_hidden_layers"])).values()
    return {f"language_model.{name}": matrices.get(name.split(".")[-2], (width,)) for name in names}


def _linear(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
