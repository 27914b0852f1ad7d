"""Where and in which precision a model computes."""

from __future__ import annotations

import torch

from mellow.engines.torch.quantise import quantise
from mellow.errors import ModelError
from mellow.model.modeling import MellowForConditionalGeneration

__all__ = ["DTYPES", "choose_device", "place"]

DTYPES = ("float32", "bfloat16", "int8")


def choose_device(device: str, *, dtype: str = "float32") -> torch.device:
    """The device for a model: `auto` (CUDA, else MPS, else the CPU), or one by torch's name.

    Raises ModelError for a device or precision that is unknown or not available on this machine.
    """
    if dtype not in DTYPES:
        raise ModelError(f"There is no precision {dtype!r}; use {', '.join(DTYPES)}.")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device("cpu" if dtype == "int8" else next(kind for kind in available if available[kind]))
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ModelError(f"There is no device {device!r}; use auto, cpu, cuda or mps.") from None
    if not available.get(chosen.type, False) or (chosen.index or 0) >= _devices(chosen.type):
        raise ModelError(f"The device {device!r} cannot be used on this machine; use auto or cpu.")
    if dtype == "int8" and chosen.type != "cpu":
        raise ModelError(f"The precision int8 works on the CPU only, not on {chosen.type}; use bfloat16 there.")
    return chosen


def _devices(kind: str) -> int:
    return torch.cuda.device_count() if kind == "cuda" else 1


def place(
    model: MellowForConditionalGeneration, device: torch.device, *, dtype: str = "float32"
) -> MellowForConditionalGeneration:
    """Put a float32 model on a device, its language model in another precision, in place.

    device: as `choose_device` allows it; dtype: `float32`; `bfloat16`; or `int8`, weights only, on the CPU.
    Encoder and mapper stay in float32: they cost little, and bfloat16 resolves a log-mel of -60 dB to 0.25 dB only.
    """
    if dtype == "bfloat16":
        for parameter in model.language_model.parameters():  # not the rotary tables: positions need float32
            parameter.data = parameter.data.to(torch.bfloat16)
    elif dtype == "int8":
        quantise(model.language_model)
    model.to(device)
    return model
