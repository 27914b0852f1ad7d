"""Writing a graph directory: a config and named float32 arrays become ONNX graphs and their weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mellow.errors import ModelError
from mellow.runtime.ced import add_ced
from mellow.runtime.cnn14 import add_cnn14
from mellow.runtime.directory import config_sum
from mellow.runtime.graph import Graph, State, WeightFile, Weights, pack
from mellow.runtime.htsat import add_htsat
from mellow.runtime.language import EMBEDDING, build_language_model, language_sizes
from mellow.runtime.mapper import Outputs, add_outputs
from mellow.stored.files import new_directory, record

__all__ = ["PRECISIONS", "Precision", "decoder_graph", "encoder_graph", "write_graphs"]

ENCODERS: dict[str, Callable[[Graph, Mapping[str, Any], str], Outputs]] = {
    "ced": add_ced,
    "htsat": add_htsat,
    "cnn14": add_cnn14,
}


@dataclass(frozen=True)
class Precision:
    """Bits of the weights: of the language model's layers, of its output matrix and embedding, of the encoder.

    8 means one scale per output and rounded activations in layers and encoder, blocks in the output matrix.
    """

    layers: int
    head: int
    encoder: int


# The output matrix, which is the embedding too, lies in blocks in 8 bits, at int4 as well: 14 MB (docs/log.md).
PRECISIONS = {
    "fp32": Precision(32, 32, 32),
    "fp16": Precision(16, 16, 16),
    "int8": Precision(8, 8, 8),
    "int4": Precision(4, 8, 8),
}
# CED-Tiny hears 48 times more exactly so than in int8, for 2 ms and 6 MB more (docs/log.md).
LEAST_ENCODER_BITS = {"ced": 16}


def encoder_graph(config: Mapping[str, Any], state: State, weights: Weights, *, precision: str) -> bytes:
    """The encoder's graph, mapper and event head in it, as an ONNX file whose weights go to `weights`."""
    kind = str(config.get("encoder", "ced"))
    if kind not in ENCODERS:
        raise ModelError(f"There is no graph for the encoder {kind!r}; use one of {', '.join(ENCODERS)}.")
    bits = max(chosen(precision).encoder, LEAST_ENCODER_BITS.get(kind, 0))
    graph = Graph(state, weights, bits=bits)
    sizes: Mapping[str, Any] = config.get("encoder_config") or {}
    mel_BFM = graph.input("mel", [1, "frames", int(sizes.get("mel_bins", 64))])
    add_outputs(graph, config, ENCODERS[kind](graph, sizes, mel_BFM))
    return graph.model()


def decoder_graph(config: Mapping[str, Any], state: State, weights: Weights, *, precision: str) -> bytes:
    """The language model's graph as an ONNX file whose weights go to `weights`, those of an untied embedding too."""
    bits = chosen(precision)
    graph = Graph(state, weights, bits=bits.layers)
    build_language_model(graph, config["text_config"], head_bits=bits.head)
    if not language_sizes(config["text_config"])["tied"]:
        for name, array in pack(EMBEDDING, state[EMBEDDING], bits.head).items():
            weights.keep(name, array)
    return graph.model()


def chosen(precision: str) -> Precision:
    if precision not in PRECISIONS:
        raise ModelError(f"There is no precision {precision!r} of graphs; use {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def write_graphs(
    directory: str | Path, *, config: Mapping[str, Any], state: State, tokenizer: bytes, precision: str
) -> Path:
    """Write a graph directory (see `mellow.runtime`), whole or not at all; returns its path.

    config: that of the model, as in its config.json; state: float32 arrays under the names of its modules, hardly any
        asked for twice, so it may make them when they are asked for; tokenizer: the content of its tokenizer.json.
    Raises ModelError for a directory that exists or cannot be written, and for a model that has no graph.
    """
    chosen(precision)
    with new_directory(Path(directory)) as folder:
        with WeightFile(folder / "encoder.weights") as weights:
            (folder / "encoder.onnx").write_bytes(encoder_graph(config, state, weights, precision=precision))
        with WeightFile(folder / "decoder.weights") as weights:
            (folder / "decoder.onnx").write_bytes(decoder_graph(config, state, weights, precision=precision))
        (folder / "tokenizer.json").write_bytes(tokenizer)
        names = sorted(path.name for path in folder.iterdir())
        files = {name: record(folder / name) for name in names}
        embedding = {name: place for name, place in weights.places.items() if name.startswith(EMBEDDING)}
        graphs = {"precision": precision, "files": files, "embedding": embedding}
        whole = {**config, "graphs": {**graphs, "config": config_sum({**config, "graphs": graphs})}}
        (folder / "config.json").write_text(json.dumps(whole, indent=2), encoding="utf-8")
    return Path(directory)
