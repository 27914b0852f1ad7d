"""The graphs that follow an encoder: the mappers of both layouts, to audio tokens, and the event head.

Shapes: T encoder steps, P steps averaged into an audio token, K audio tokens, E and D widths of encoder and
language model.
"""

from __future__ import annotations

from typing import NamedTuple

from mellow.config import COPIES, ModelConfig
from mellow.graphs.graph import Graph
from mellow.graphs.layers import layer_norm, linear, mlp

__all__ = ["Outputs", "add_outputs"]


class Outputs(NamedTuple):
    """Names of the outputs of an encoder's graph for one window, as in `model.encoder.EncoderOutput`; batch size 1."""

    frames_BTE: str
    latent_BE: str
    step_scores_BTC: str
    clip_scores_BC: str


def _mapper(graph: Graph, config: ModelConfig, encoded: Outputs) -> str:
    """Audio tokens (1, K, D)."""
    if config.layout == "published":
        return _published(graph, encoded)
    pool = config.frames_per_row
    frames = _pool_steps(graph, encoded.frames_BTE, pool)
    probabilities = _pool_steps(graph, graph.op("Sigmoid", encoded.step_scores_BTC), pool)
    rows = mlp(graph, layer_norm(graph, frames, "mapper.norm"), "mapper.linear1", "mapper.linear2")
    return graph.op("Add", linear(graph, probabilities, "mapper.class_words"), rows, out="rows")


def add_outputs(graph: Graph, config: ModelConfig, encoded: Outputs) -> None:
    """Mapper and event head after an encoder, and the outputs of the whole graph."""
    graph.output(_mapper(graph, config, encoded), [1, "rows", "width"])
    if config.events is not None:
        events = mlp(graph, encoded.frames_BTE, "events.linear1", "events.linear2")
        graph.output(graph.op("Identity", events, out="event_scores"), [1, "steps", "sounds"])
    graph.output(graph.op("Identity", encoded.step_scores_BTC, out="step_scores"), [1, "steps", "classes"])
    graph.output(graph.op("Identity", encoded.clip_scores_BC, out="clip_scores"), [1, "classes"])


def _pool_steps(graph: Graph, x_BTE: str, pool: int) -> str:
    """Average each `pool` steps; a short last group repeats its last step."""
    if pool == 1:
        return x_BTE
    steps = graph.op("Shape", x_BTE, start=1, end=2)
    spare = graph.op("Mod", graph.op("Neg", steps), graph.constant([pool]))
    zero = graph.constant([0])
    padded = graph.op("Pad", x_BTE, graph.op("Concat", zero, zero, zero, zero, spare, zero, axis=0), mode="edge")
    width = graph.op("Shape", x_BTE, start=2, end=3)
    shape = graph.op("Concat", graph.constant([1, -1, pool]), width, axis=0)
    return graph.op("ReduceMean", graph.op("Reshape", padded, shape), graph.constant([2]), keepdims=0)


def _published(graph: Graph, encoded: Outputs) -> str:
    """The latent's token, then each step's token `copies` times."""
    frames = linear(graph, encoded.frames_BTE, "mapper.class_to_latent")
    latent_B1E = graph.op("Unsqueeze", encoded.latent_BE, graph.constant([1]))
    first = linear(graph, graph.op("Concat", latent_B1E, frames, axis=1), "mapper.linear1")
    second = linear(graph, graph.op("Gelu", first), "mapper.linear2")
    rows = layer_norm(graph, graph.op("Add", first, second), "mapper.norm")
    ends = [graph.constant([n]) for n in (0, 1, 1 << 30)]
    first_row, step_rows = (graph.op("Slice", rows, *ends[n : n + 2], ends[1]) for n in (0, 1))
    step_rows = graph.op("Unsqueeze", step_rows, graph.constant([2]))
    copied = graph.op("Expand", step_rows, graph.constant([1, 1, COPIES, 1]))
    width = len(graph.state["mapper.norm.weight"])
    copies_BKD = graph.op("Reshape", copied, graph.constant([1, -1, width]))
    return graph.op("Concat", first_row, copies_BKD, axis=1, out="rows")
