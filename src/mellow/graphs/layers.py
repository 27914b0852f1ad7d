"""Layers that the encoders' graphs share, by the names of torch's modules.

Shapes: N tokens, W width, H heads.
"""

from __future__ import annotations

import numpy as np

from mellow.graphs.graph import FLOAT32, Graph

__all__ = ["affine", "attention", "full", "layer_norm", "linear", "mlp"]


def linear(graph: Graph, x: str, name: str) -> str:
    """torch's Linear, with its bias where it has one, in the graph's precision."""
    bias = graph.parameter(f"{name}.bias") if f"{name}.bias" in graph.state else ""
    return graph.linear(x, f"{name}.weight", graph.state[f"{name}.weight"], bias=bias)


def full(graph: Graph, name: str, values: np.ndarray) -> str:
    """Values of a layer that is computed in float32 and stored in the graph's precision: int8 steps per first axis."""
    if graph.bits == 32:
        return graph.weight(name, values)
    if graph.bits == 16:
        return graph.op("Cast", graph.weight(name, values.astype(np.float16)), to=FLOAT32)
    scales = np.maximum(np.abs(values).reshape(len(values), -1).max(1), 1e-12).astype(np.float32) / 127
    scales = scales.reshape(-1, *[1] * (values.ndim - 1))
    steps = graph.weight(f"{name}.steps", np.rint(values / scales).astype(np.int8))
    return graph.op("Mul", graph.op("Cast", steps, to=FLOAT32), graph.weight(f"{name}.scales", scales))


def layer_norm(graph: Graph, x: str, name: str, epsilon: float = 1e-5) -> str:
    weights = graph.parameter(f"{name}.weight"), graph.parameter(f"{name}.bias")
    return graph.op("LayerNormalization", x, *weights, axis=-1, epsilon=epsilon)


def attention(graph: Graph, x_BNW: str, qkv: str, *, heads: int, bias: str = "") -> str:
    """Every token attends to all of its row of the batch: mixed values (B, N, W), before the projection.

    qkv: name of the linear layer that makes queries, keys and values; bias: added to the scores (B or 1, H, N, N).
    """
    packed = linear(graph, x_BNW, qkv)
    parts = graph.ops("Split", [packed], [graph.fresh("part") for _ in range(3)], axis=-1, num_outputs=3)
    return graph.op("MultiHeadAttention", *parts, *(["", "", bias] if bias else []), num_heads=heads)


def mlp(graph: Graph, x: str, name1: str, name2: str) -> str:
    """Two linear layers with a gelu between them."""
    return linear(graph, graph.op("Gelu", linear(graph, x, name1)), name2)


def affine(graph: Graph, name: str, *, epsilon: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of a batch norm in evaluation mode."""
    weight, bias, mean, var = (
        graph.state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + epsilon)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)
