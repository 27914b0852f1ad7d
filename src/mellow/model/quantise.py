"""Weight-only int8: each row of a linear layer's matrix as whole steps of a scale of its own.

Shapes: N outputs, K inputs, R rows of the activations.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Int8Linear", "quantise"]

FEW_ROWS = 16  # up to here the int8 kernel is faster than matrix products of restored weights
FUSED = hasattr(torch, "_weight_int8pack_mm")


class Int8Linear(nn.Module):
    """A linear layer whose weights are read as int8: a quarter of float32's memory traffic, which bounds decoding."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_NK = linear.weight.detach().float()
        scale_N = weight_NK.abs().amax(1).clamp(min=1e-12) / 127
        self.weight_NK = nn.Buffer((weight_NK / scale_N[:, None]).round().to(torch.int8))
        self.scale_N = nn.Buffer(scale_N)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., K)."""
        x_RK = x.reshape(-1, x.shape[-1])
        if FUSED and len(x_RK) <= FEW_ROWS:
            out_RN = torch._weight_int8pack_mm(x_RK.contiguous(), self.weight_NK, self.scale_N.to(x.dtype))
        else:
            out_RN = (x_RK @ self.weight_NK.to(x.dtype).T) * self.scale_N.to(x.dtype)
        if self.bias is not None:
            out_RN = out_RN + self.bias
        return out_RN.view(*x.shape[:-1], -1)


def quantise(model: nn.Module) -> None:
    """Replace every linear layer of a model, in place. An embedding that was tied to one keeps its own precision."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
