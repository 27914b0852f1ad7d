"""HTSAT's graph: `model.htsat` with windows cut, shifted and put back by one gathering of tokens each.

Shapes: F mel frames, M mel bins, I side of the image, G side of the token grid, W width, V windows of N tokens,
H heads.
"""

from __future__ import annotations

import numpy as np

from mellow.encoders.htsat import HtsatConfig
from mellow.graphs.graph import Graph
from mellow.graphs.layers import affine, attention, full, layer_norm, linear, mlp
from mellow.graphs.mapper import Outputs

__all__ = ["add_htsat"]

MASKED = -1e4  # between tokens that are no neighbours; the published -100 leaves numbers so small that they are slow


def add_htsat(graph: Graph, sizes: HtsatConfig, mel_BFM: str) -> Outputs:
    """From the log-mel of one window (1, F, M) of at most chunks^2 * M frames, which is stretched to them."""
    chunks, patch, bins = sizes.chunks, sizes.patch, sizes.mel_bins
    grid = sizes.grids[0]
    x = _image(graph, mel_BFM, bins, chunks)
    kernel = [graph.parameter(f"encoder.patch.{part}") for part in ("weight", "bias")]
    x = graph.op("Conv", x, *kernel, strides=[patch, patch], kernel_shape=[patch, patch])  # 1, W, G, G
    width = sizes.width
    x = graph.op("Transpose", graph.op("Reshape", x, graph.constant([1, width, grid * grid])), perm=[0, 2, 1])
    x = layer_norm(graph, x, "encoder.patch_norm")  # 1, G * G, W
    last = len(sizes.depths) - 1
    for stage, (depth, heads) in enumerate(zip(sizes.depths, sizes.heads, strict=True)):
        window = min(sizes.window, grid)
        for i in range(depth):
            shift = window // 2 if grid > window and i % 2 else 0
            x = _block(graph, x, f"encoder.stages.{stage}.blocks.{i}", grid, window, shift, heads)
        if stage < last:
            x = _merge(graph, x, f"encoder.stages.{stage}.merge", grid)
            grid //= 2
    return _outputs(graph, layer_norm(graph, x, "encoder.norm"), grid, chunks)


def _image(graph: Graph, mel_BFM: str, bins: int, chunks: int) -> str:
    """Normalise, stretch and fold the log-mel: (1, 1, I, I)."""
    scale_M, shift_M = affine(graph, "encoder.bn0")
    x = graph.op("Mul", mel_BFM, graph.weight("encoder.bn0.scale", scale_M))
    x = graph.op("Add", x, graph.weight("encoder.bn0.shift", shift_M))
    side = bins * chunks
    stretched = graph.constant([1, 1, side * chunks, bins])
    how = {"mode": "cubic", "coordinate_transformation_mode": "align_corners"}
    x = graph.op("Resize", graph.op("Unsqueeze", x, graph.constant([1])), "", "", stretched, **how)
    x = graph.op("Reshape", x, graph.constant([chunks, side, bins]))
    return graph.op("Reshape", graph.op("Transpose", x, perm=[0, 2, 1]), graph.constant([1, 1, side, side]))


def _block(graph: Graph, x: str, name: str, grid: int, window: int, shift: int, heads: int) -> str:
    """A transformer block whose tokens attend to those of their own window: (1, G * G, W)."""
    width = len(graph.state[f"{name}.norm1.weight"])
    order, cut = _window_order(grid, window, shift), f"windows.{grid}.{shift}"
    y = graph.op("Gather", layer_norm(graph, x, f"{name}.norm1"), graph.weight(f"{cut}.cut", order), axis=1)
    y = graph.op("Reshape", y, graph.constant([-1, window * window, width]))  # V, N, W
    y = attention(graph, y, f"{name}.qkv", heads=heads, bias=_score_bias(graph, name, grid, window, shift))
    y = graph.op("Reshape", linear(graph, y, f"{name}.proj"), graph.constant([1, grid * grid, width]))
    x = graph.op("Add", x, graph.op("Gather", y, graph.weight(f"{cut}.join", np.argsort(order)), axis=1))
    y = mlp(graph, layer_norm(graph, x, f"{name}.norm2"), f"{name}.fc1", f"{name}.fc2")
    return graph.op("Add", x, y)


def _window_order(grid: int, window: int, shift: int) -> np.ndarray:
    """Where in the grid the tokens of all windows come from, window by window, after a cyclic shift: (G * G)."""
    places_GG = np.roll(np.arange(grid * grid).reshape(grid, grid), (-shift, -shift), (0, 1))
    side = grid // window
    return places_GG.reshape(side, window, side, window).transpose(0, 2, 1, 3).reshape(-1)


def _score_bias(graph: Graph, name: str, grid: int, window: int, shift: int) -> str:
    """Added to attention scores: the bias of each pair's distance, and what parts regions in shifted windows."""
    steps = np.arange(window)
    row_N, column_N = np.repeat(steps, window), np.tile(steps, window)
    dy_NN, dx_NN = (place[:, None] - place + window - 1 for place in (row_N, column_N))
    bias_NNH = graph.state[f"{name}.position_bias"][dy_NN * (2 * window - 1) + dx_NN]
    bias = graph.weight(f"{name}.bias", np.ascontiguousarray(bias_NNH.transpose(2, 0, 1)[None], np.float32))
    if not shift:
        return bias
    place_G = np.arange(grid)
    region_G = (place_G >= grid - window).astype(int) + (place_G >= grid - shift)
    region_VN = (3 * region_G[:, None] + region_G).reshape(-1)[_window_order(grid, window, 0)].reshape(-1, window**2)
    mask_VNN = np.where(region_VN[:, :, None] != region_VN[:, None], MASKED, 0).astype(np.float32)
    return graph.op("Add", bias, graph.weight(f"mask.{grid}.{shift}", mask_VNN[:, None]))  # V, H, N, N


def _merge(graph: Graph, x: str, name: str, grid: int) -> str:
    """Every 2 x 2 tokens become one: (1, G * G, W) -> (1, G * G / 4, 2 W)."""
    width = len(graph.state[f"{name}.norm.weight"]) // 4
    half = grid // 2
    x = graph.op("Reshape", x, graph.constant([half, 2, half, 2, width]))
    x = graph.op("Transpose", x, perm=[0, 2, 3, 1, 4])  # G / 2, G / 2, (column, row, W)
    x = graph.op("Reshape", x, graph.constant([1, half * half, 4 * width]))
    return linear(graph, layer_norm(graph, x, f"{name}.norm"), f"{name}.reduction")


def _outputs(graph: Graph, x: str, grid: int, chunks: int) -> Outputs:
    """Chunks side by side again, and the class scores of each step: a convolution over the last grid."""
    width = len(graph.state["encoder.norm.weight"])
    x = graph.op("Reshape", x, graph.constant([chunks, grid // chunks, grid, width]))
    x = graph.op("Transpose", x, perm=[3, 1, 0, 2])  # W, R, chunk, G
    x_BWRT = graph.op("Reshape", x, graph.constant([1, width, grid // chunks, chunks * grid]))
    kernel = full(graph, "encoder.scores.weight", graph.state["encoder.scores.weight"])
    scores = graph.op("Conv", x_BWRT, kernel, graph.parameter("encoder.scores.bias"), pads=[0, 1, 0, 1])  # 1, C, 1, T
    steps = graph.op("Transpose", graph.op("Squeeze", scores, graph.constant([2])), perm=[0, 2, 1])
    return Outputs(
        frames_BTE=graph.op("Sigmoid", steps),
        latent_BE=graph.op("ReduceMean", x_BWRT, graph.constant([2, 3]), keepdims=0),
        step_scores_BTC=steps,
        clip_scores_BC=graph.op("ReduceMean", steps, graph.constant([1]), keepdims=0),
    )
