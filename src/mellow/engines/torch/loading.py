"""Loading with torch: full and adapter checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch

from mellow.engines.torch.engine import TorchEngine
from mellow.engines.torch.precision import choose_device, place
from mellow.model.checkpoint import load_checkpoint

__all__ = ["has_cuda", "open_with_torch"]


def open_with_torch(directory: Path, *, device: str, dtype: str) -> TorchEngine:
    """The engine of a model directory, on a device (`auto`: CUDA, MPS or CPU) and in one of torch's precisions.

    Raises ModelError naming the file that is missing, damaged or incompatible, or an unknown device or precision.
    """
    chosen = choose_device(device, dtype=dtype)
    model = load_checkpoint(directory, verify=True)
    return TorchEngine(place(model, chosen, dtype=dtype))


def has_cuda() -> bool:
    """Whether this machine's torch can use CUDA."""
    return torch.cuda.is_available()
