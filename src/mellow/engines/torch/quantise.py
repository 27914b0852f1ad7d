"""Weight-only int8: each row of a linear layer's matrix as whole steps of a scale of its own.

Shapes: N outputs, K inputs, R rows of the activations.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["Int8Linear", "quantise"]

FEW_ROWS = 8  # up to here torch's int8 kernel (fast for bfloat16 activations only) beats products of restored weights
FUSED = hasattr(torch, "_weight_int8pack_mm")
VECTOR = 32  # the kernel reads beyond the end of matrices that are no multiple of its vectors wide
FAST_BFLOAT16 = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


class Int8Linear(nn.Module):
    """A linear layer whose weights are read as int8: a quarter of float32's memory traffic, which bounds decoding.

    Activations are rounded to bfloat16 on the way in; scales and results are in the dtype of the activations.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_NK = linear.weight.detach().float()
        scale_N = weight_NK.abs().amax(1).clamp(min=1e-12) / 127
        self.weight_NK = nn.Buffer((weight_NK / scale_N[:, None]).round().to(torch.int8))
        self.scale_N = nn.Buffer(scale_N)
        self.one_N = nn.Buffer(torch.ones_like(scale_N, dtype=torch.bfloat16))  # the kernel's own scales are too coarse
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., K)."""
        x_RK = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        if FUSED and len(x_RK) <= FEW_ROWS and x_RK.shape[1] % VECTOR == 0:
            steps_RN = torch._weight_int8pack_mm(x_RK.contiguous(), self.weight_NK, self.one_N)
        else:
            dtype = torch.bfloat16 if FAST_BFLOAT16 else torch.float32
            steps_RN = functional.linear(x_RK.to(dtype), self.weight_NK.to(dtype))
        out_RN = steps_RN * self.scale_N
        if self.bias is not None:
            out_RN = out_RN + self.bias
        return out_RN.to(x.dtype).view(*x.shape[:-1], -1)


def quantise(model: nn.Module) -> None:
    """Replace every linear layer of a model, in place. An embedding that was tied to one keeps its own precision."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
