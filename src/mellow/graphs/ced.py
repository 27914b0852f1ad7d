"""CED's graph, token for token that of `model.ced`, but for the order of tokens: here a step's patches stand together.

Shapes: F mel frames, M mel bins, T = F // 16 steps, Q patches of a step, N = T * Q tokens, W width.
"""

from __future__ import annotations

import numpy as np

from mellow.encoders.ced import PATCH, CedConfig
from mellow.graphs.graph import Graph
from mellow.graphs.layers import affine, attention, layer_norm, linear, mlp
from mellow.graphs.mapper import Outputs

__all__ = ["add_ced"]

EPSILON = 1e-6


def add_ced(graph: Graph, sizes: CedConfig, mel_BFM: str) -> Outputs:
    """From the log-mel of one window (1, F, M), F >= 16; frames beyond 63 steps are ignored."""
    state = graph.state
    scale_M, shift_M = affine(graph, "encoder.init_bn")
    x = graph.op("Mul", mel_BFM, graph.weight("encoder.init_bn.scale", scale_M))
    x = graph.op("Add", x, graph.weight("encoder.init_bn.shift", shift_M))
    positions_TQW = _positions(state["encoder.time_position"], state["encoder.frequency_position"])
    most, rows, width = positions_TQW.shape
    zero, one = graph.constant([0]), graph.constant([1])
    x = graph.op("Slice", x, zero, graph.constant([most * PATCH]), one)
    x = graph.op("Unsqueeze", x, one)  # 1, 1, F, M
    kernel = np.ascontiguousarray(state["encoder.patch.weight"].swapaxes(2, 3))  # W, 1, frames, bins
    patches = [graph.weight("encoder.patch.weight", kernel), graph.parameter("encoder.patch.bias")]
    x = graph.op("Conv", x, *patches, strides=[PATCH, PATCH], kernel_shape=[PATCH, PATCH])  # 1, W, T, Q
    x = graph.op("Transpose", x, perm=[0, 2, 3, 1])  # 1, T, Q, W
    steps = graph.op("Shape", x, start=1, end=2)
    positions = graph.op("Slice", graph.weight("encoder.position", positions_TQW), zero, steps, zero)
    x = graph.op("Reshape", graph.op("Add", x, positions), graph.constant([1, -1, width]))
    for i in range(sizes.depth):
        block = f"encoder.blocks.{i}"
        y = attention(graph, layer_norm(graph, x, f"{block}.norm1", EPSILON), f"{block}.qkv", heads=sizes.heads)
        x = graph.op("Add", x, linear(graph, y, f"{block}.proj"))
        y = mlp(graph, layer_norm(graph, x, f"{block}.norm2", EPSILON), f"{block}.fc1", f"{block}.fc2")
        x = graph.op("Add", x, y)
    x_BNW = layer_norm(graph, x, "encoder.norm", EPSILON)
    x_BTQW = graph.op("Reshape", x_BNW, graph.constant([1, -1, rows, width]))
    latent_BE = graph.op("ReduceMean", x_BNW, one, keepdims=0)
    steps_BTW = graph.op("ReduceMean", x_BTQW, graph.constant([2]), keepdims=0)
    return Outputs(
        frames_BTE=graph.op("Reshape", x_BNW, graph.constant([1, -1, rows * width])),
        latent_BE=latent_BE,
        step_scores_BTC=linear(graph, layer_norm(graph, steps_BTW, "encoder.head_norm"), "encoder.head"),
        clip_scores_BC=linear(graph, layer_norm(graph, latent_BE, "encoder.head_norm"), "encoder.head"),
    )


def _positions(time_1W1T: np.ndarray, frequency_1WQ1: np.ndarray) -> np.ndarray:
    """What is added to the patches (T, Q, W), for the longest window."""
    both_WQT = time_1W1T[0] + frequency_1WQ1[0]
    return np.ascontiguousarray(both_WQT.transpose(2, 1, 0), np.float32)
