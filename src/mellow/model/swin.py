"""Swin transformer stages over a square grid of tokens (Liu et al., arXiv 2103.14030): attention inside windows.

Shapes: B clips, G side of the grid, W width, V = (G / window)^2 windows, N = window^2 tokens of a window, H heads.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "PatchMerging",
    "SwinBlock",
    "SwinStage",
    "from_windows",
    "relative_position_index",
    "shift_mask",
    "to_windows",
]

MASKED = -100.0  # added to scores between tokens of different windows; the published checkpoints store this value


def to_windows(x_BGGW: torch.Tensor, window: int) -> torch.Tensor:
    """Cut the grid into windows, both row by row: (B, G, G, W) -> (B, V, N, W)."""
    batch, grid, _, width = x_BGGW.shape
    x = x_BGGW.reshape(batch, grid // window, window, grid // window, window, width)  # B, G/w, w, G/w, w, W
    return x.transpose(2, 3).reshape(batch, (grid // window) ** 2, window * window, width)  # B, V, N, W


def from_windows(x_BVNW: torch.Tensor, window: int) -> torch.Tensor:
    """Undo `to_windows`: (B, V, N, W) -> (B, G, G, W)."""
    batch, windows, _, width = x_BVNW.shape
    side = round(windows**0.5)  # windows per side of the grid
    x = x_BVNW.reshape(batch, side, side, window, window, width)  # B, G/w, G/w, w, w, W
    return x.transpose(2, 3).reshape(batch, side * window, side * window, width)  # B, G, G, W


def relative_position_index(window: int, device: torch.device | None = None) -> torch.Tensor:
    """Row of the bias table for each pair of tokens of a window: (N, N), int64, from 0 to (2 window - 1)^2 - 1.

    Row (dy + window - 1) * (2 window - 1) + (dx + window - 1), where (dy, dx) leads from the key to the query.
    """
    steps = torch.arange(window, device=device)
    row_N = steps.repeat_interleave(window)
    column_N = steps.repeat(window)
    dy_NN = row_N[:, None] - row_N + window - 1
    dx_NN = column_N[:, None] - column_N + window - 1
    return dy_NN * (2 * window - 1) + dx_NN


def shift_mask(grid: int, window: int, shift: int, device: torch.device | None = None) -> torch.Tensor:
    """What to add to attention scores after a cyclic shift: (V, N, N), 0 inside and MASKED between regions.

    A shift by `shift` brings the first rows (columns) behind the last ones; the windows at the end then hold tokens
    that are no neighbours. Regions: before the last window, the last window's old part, what was shifted in.
    """
    place_G = torch.arange(grid, device=device)
    region_G = (place_G >= grid - window).long() + (place_G >= grid - shift).long()  # 0, 1 or 2
    region_GG = 3 * region_G[:, None] + region_G
    region_VN = to_windows(region_GG[None, :, :, None], window)[0, :, :, 0]
    return (region_VN[:, :, None] != region_VN[:, None, :]).float() * MASKED


class SwinBlock(nn.Module):
    """A pre-norm transformer block whose tokens attend to those of their own window."""

    def __init__(self, width: int, heads: int, window: int, shift: int, mlp_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.position_bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, mlp_ratio * width)
        self.fc2 = nn.Linear(mlp_ratio * width, width)
        nn.init.trunc_normal_(self.position_bias, std=0.02)

    def forward(self, x_BGGW: torch.Tensor, index_NN: torch.Tensor, mask_VNN: torch.Tensor) -> torch.Tensor:
        """index_NN: `relative_position_index`; mask_VNN: `shift_mask`, used by shifted blocks only."""
        y_BGGW = self.norm1(x_BGGW)
        if self.shift:
            y_BGGW = y_BGGW.roll((-self.shift, -self.shift), dims=(1, 2))
        y_BVNW = self._attend(to_windows(y_BGGW, self.window), index_NN, mask_VNN)
        y_BGGW = from_windows(y_BVNW, self.window)
        if self.shift:
            y_BGGW = y_BGGW.roll((self.shift, self.shift), dims=(1, 2))
        x_BGGW = x_BGGW + y_BGGW
        x_BGGW = x_BGGW + self.fc2(functional.gelu(self.fc1(self.norm2(x_BGGW))))
        return x_BGGW

    def _attend(self, x_BVNW: torch.Tensor, index_NN: torch.Tensor, mask_VNN: torch.Tensor) -> torch.Tensor:
        """Attention in each window; windows and heads share one axis, so that one mask serves the whole batch."""
        batch, windows, tokens, width = x_BVNW.shape
        qkv = self.qkv(x_BVNW).view(batch, windows, tokens, 3, self.heads, width // self.heads)
        qkv = qkv.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)  # 3, B, V * H, N, W / H
        query, key, value = qkv.unbind(0)  # each B, V * H, N, W / H
        bias_HNN = self.position_bias[index_NN].permute(2, 0, 1)
        bias_VHNN = bias_HNN + mask_VNN[:, None] if self.shift else bias_HNN.expand(windows, -1, -1, -1)
        bias = bias_VHNN.flatten(0, 1)[None].to(query.dtype)  # 1, V * H, N, N
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = mixed.reshape(batch, windows, self.heads, tokens, width // self.heads)  # B, V, H, N, W / H
        out: torch.Tensor = self.proj(mixed.transpose(2, 3).flatten(3))  # B, V, N, W
        return out


class PatchMerging(nn.Module):
    """Every 2 x 2 tokens become one, twice as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x_BGGW: torch.Tensor) -> torch.Tensor:
        batch, grid, _, width = x_BGGW.shape
        x = x_BGGW.reshape(batch, grid // 2, 2, grid // 2, 2, width)  # B, G/2, row, G/2, column, W
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # B, G/2, G/2, (column, row, W): rows alternate first, as published
        out: torch.Tensor = self.reduction(self.norm(x))  # B, G/2, G/2, 2 W
        return out


class SwinStage(nn.Module):
    """Blocks at one resolution, every second one with shifted windows, then (except after the last stage) a merge."""

    def __init__(
        self, width: int, depth: int, heads: int, *, grid: int, window: int, mlp_ratio: int, merge: bool
    ) -> None:
        super().__init__()
        self.grid = grid
        self.window = min(window, grid)
        self.shift = window // 2 if grid > window else 0  # one window sees everything: nothing to shift
        self.blocks = nn.ModuleList(
            SwinBlock(width, heads, self.window, self.shift if i % 2 else 0, mlp_ratio) for i in range(depth)
        )
        self.merge = PatchMerging(width) if merge else nn.Identity()

    def forward(self, x_BGGW: torch.Tensor) -> torch.Tensor:
        index_NN = relative_position_index(self.window, x_BGGW.device)
        mask_VNN = shift_mask(self.grid, self.window, self.shift, x_BGGW.device)
        for block in self.blocks:
            x_BGGW = block(x_BGGW, index_NN, mask_VNN)
        out: torch.Tensor = self.merge(x_BGGW)
        return out
