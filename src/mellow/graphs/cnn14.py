"""CNN14's graph: `model.cnn14` with the batch norms folded into the convolutions.

Shapes: F mel frames, M mel bins, W width of the last block, T = F // 32 steps.
"""

from __future__ import annotations

import numpy as np

from mellow.encoders.cnn14 import Cnn14Config
from mellow.graphs.graph import Graph
from mellow.graphs.layers import affine, full, linear
from mellow.graphs.mapper import Outputs

__all__ = ["add_cnn14"]


def add_cnn14(graph: Graph, sizes: Cnn14Config, mel_BFM: str) -> Outputs:
    """From the log-mel of one window (1, F, M), F >= 32. Convolutions are computed in float32 in every precision."""
    scale_M, shift_M = affine(graph, "encoder.bn0")
    x = graph.op("Mul", mel_BFM, graph.weight("encoder.bn0.scale", scale_M))
    x = graph.op("Add", x, graph.weight("encoder.bn0.shift", shift_M))
    x = graph.op("Unsqueeze", x, graph.constant([1]))  # 1, 1, F, M
    last = len(sizes.widths) - 1
    for i in range(last + 1):
        for n in (1, 2):
            x = _convolution(graph, x, f"encoder.blocks.{i}.conv{n}", f"encoder.blocks.{i}.bn{n}")
        if i < last:
            x = graph.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x_BWT1 = graph.op("ReduceMean", x, graph.constant([3]))  # pooled as pictures: ONNX Runtime pools nothing of rank 3
    average = graph.op("AveragePool", x_BWT1, kernel_shape=[3, 1], pads=[1, 0, 1, 0], count_include_pad=1)
    highest = graph.op("MaxPool", x_BWT1, kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    smooth_BWT1 = graph.op("Add", highest, average)
    smooth_BTW = graph.op("Transpose", graph.op("Squeeze", smooth_BWT1, graph.constant([3])), perm=[0, 2, 1])
    over_time = graph.constant([2, 3])
    strongest = graph.op("ReduceMax", x_BWT1, over_time, keepdims=0)
    whole_BW = graph.op("Add", strongest, graph.op("ReduceMean", x_BWT1, over_time, keepdims=0))
    frames_BTE, latent_BE = (graph.op("Relu", linear(graph, y, "encoder.fc1")) for y in (smooth_BTW, whole_BW))
    return Outputs(
        frames_BTE=frames_BTE,
        latent_BE=latent_BE,
        step_scores_BTC=linear(graph, frames_BTE, "encoder.scores"),
        clip_scores_BC=linear(graph, latent_BE, "encoder.scores"),
    )


def _convolution(graph: Graph, x: str, name: str, norm: str) -> str:
    scale_O, shift_O = affine(graph, norm)
    kernel = graph.state[f"{name}.weight"] * scale_O[:, None, None, None]
    weights = full(graph, f"{name}.weight", kernel.astype(np.float32)), graph.weight(f"{name}.bias", shift_O)
    return graph.op("Relu", graph.op("Conv", x, *weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
