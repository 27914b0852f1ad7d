"""Loading with torch: full and adapter checkpoints, the hub's models and published checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch

from mellow.answer.torch_engine import TorchEngine
from mellow.model.checkpoint import load_checkpoint
from mellow.model.convert import cached
from mellow.model.precision import choose_device, place

__all__ = ["convert_once", "has_cuda", "open_with_torch"]


def open_with_torch(directory: Path, *, device: str, dtype: str) -> TorchEngine:
    """The engine of a model directory, on a device (`auto`: CUDA, MPS or CPU) and in one of torch's precisions.

    Raises ModelError naming the part that is missing, damaged or unfit, or an impossible device or precision.
    """
    chosen = choose_device(device, dtype=dtype)
    model = load_checkpoint(directory, verify=True)
    return TorchEngine(place(model, chosen, dtype=dtype))


def convert_once(name: str) -> Path:
    """The directory of a hub model or a published checkpoint, converted into the cache."""
    return cached(name)


def has_cuda() -> bool:
    """Whether this machine's torch can use CUDA."""
    return torch.cuda.is_available()
