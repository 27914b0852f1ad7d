"""Writing a graph directory: a config and named float32 arrays become ONNX graphs and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.files import new_directory, record
from mellow.graphs.graph import Graph, State, WeightFile, Weights, pack
from mellow.graphs.llama import EMBEDDING, build_language_model
from mellow.graphs.mapper import add_outputs

__all__ = ["PRECISIONS", "Precision", "decoder_graph", "encoder_graph", "write_graphs"]


@dataclass(frozen=True)
class Precision:
    """Bits of the weights: of the language model's layers, of its output matrix and embedding, of the encoder.

    8 means one scale per output and rounded activations in layers and encoder, blocks in the output matrix.
    """

    layers: int
    head: int
    encoder: int


# The output matrix, which is also the embedding, is stored in blocks of 8 bits, also at int4: 14 MB more (docs/log.md).
PRECISIONS = {
    "fp32": Precision(32, 32, 32),
    "fp16": Precision(16, 16, 16),
    "int8": Precision(8, 8, 8),
    "int4": Precision(4, 8, 8),
}


def encoder_graph(config: ModelConfig, state: State, weights: Weights, *, precision: str) -> bytes:
    """The encoder's graph, mapper and event head in it, as an ONNX file whose weights go to `weights`."""
    graph = Graph(state, weights, bits=max(chosen(precision).encoder, config.spec.least_bits))
    mel_BFM = graph.input("mel", [1, "frames", config.sizes.mel_bins])
    add_outputs(graph, config, config.spec.graph()(graph, config.sizes, mel_BFM))
    return graph.model()


def decoder_graph(config: ModelConfig, state: State, weights: Weights, *, precision: str) -> bytes:
    """The language model's graph as an ONNX file whose weights go to `weights`, those of an untied embedding too."""
    bits = chosen(precision)
    graph = Graph(state, weights, bits=bits.layers)
    build_language_model(graph, config.llama, head_bits=bits.head)
    if not config.llama.tied:
        for name, array in pack(EMBEDDING, state[EMBEDDING], bits.head).items():
            weights.keep(name, array)
    return graph.model()


def chosen(precision: str) -> Precision:
    if precision not in PRECISIONS:
        raise ModelError(f"There is no precision {precision!r} of graphs; use {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def write_graphs(directory: str | Path, *, config: ModelConfig, state: State, tokenizer: bytes, precision: str) -> Path:
    """Write a graph directory (see `mellow.graphs`), completely or not at all; returns its path.

    config: that of the model; state: float32 arrays under the names of its modules, hardly any
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
        bare = config.with_files(graphs=graphs)
        whole = config.with_files(graphs={**graphs, "config": bare.content_sum()})
        (folder / "config.json").write_text(whole.to_json(), encoding="utf-8")
    return Path(directory)
