"""Names and shapes of tensors, layer by layer: the blocks that encoders and language models are written down with."""

from __future__ import annotations

__all__ = ["Shapes", "batch_norm", "layer_norm", "linear", "transformer_block"]

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, rows: int, columns: int) -> Shapes:
    """Shapes of a linear layer."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def layer_norm(name: str, width: int) -> Shapes:
    """Shapes of a layer norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name: str, width: int) -> Shapes:
    """Shapes of a batch norm, without its counter."""
    return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}


def transformer_block(name: str, width: int, inner: int) -> Shapes:
    """Shapes of a pre-norm transformer block."""
    return {
        **layer_norm(f"{name}.norm1", width),
        **linear(f"{name}.qkv", 3 * width, width),
        **linear(f"{name}.proj", width, width),
        **layer_norm(f"{name}.norm2", width),
        **linear(f"{name}.fc1", inner, width),
        **linear(f"{name}.fc2", width, inner),
    }
