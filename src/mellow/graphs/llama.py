"""The language model's graph: new embeddings and the keys and values before them, to logits.

Inputs: embeds (B, L, D); past_keys.i, past_values.i (B, K, T, E), which may have spare capacity;
last_positions (B) int32, how many positions a row has with the new ones, less one; length () int32, the most of these;
rows (R) int64, which of the B * L new positions get logits; cosines, sines (P, E / 2), of at least `length` positions.
Outputs: logits (R, V); keys.i, values.i, in place of the past if bound to it.
Rows of a batch may have pasts of any lengths; padding follows them and is overwritten by the next positions.

Shapes: B batch, L new positions, D width, H heads, K key heads, E width of a head, V vocabulary.
"""

from __future__ import annotations

import numpy as np

from mellow.errors import ModelError
from mellow.graphs.graph import Graph
from mellow.graphs.rotation import rotate
from mellow.llama import LlamaSpec

__all__ = ["EMBEDDING", "build_language_model"]

PREFIX = "language_model.model."
EMBEDDING = f"{PREFIX}embed_tokens.weight"
HEAD = "language_model.lm_head.weight"
CLIP_VALUE = 5.0  # of rotated rows behind a norm, whose root mean square is 1: hardly any number is larger
TINY = 1e-9  # the smallest divisor of a row
POSITIONS = 2048  # of a config that does not say, as transformers has it
HEAD_MULTIPLE = 16  # of the width of a head that GroupQueryAttention rotates


def build_language_model(graph: Graph, sizes: LlamaSpec, *, head_bits: int) -> None:
    """Add the whole graph of a Llama. In 8 bits its residual stream is rotated, and norms have no weights of their own.

    head_bits: of the output matrix, which is the embedding too where they are tied.
    """
    if sizes.head_width % HEAD_MULTIPLE:
        raise ModelError(
            f"Graphs are made of heads whose width is a multiple of {HEAD_MULTIPLE}, not {sizes.head_width}."
        )
    epsilon, width, rotated = sizes.epsilon, sizes.width, graph.bits == 8
    x = graph.input("embeds", ["batch", "new", width])
    last, length = graph.input("last_positions", ["batch"], "int32"), graph.input("length", [], "int32")
    rows = graph.input("rows", ["rows"], "int64")
    rotary = [graph.input(name, ["positions", sizes.head_width // 2]) for name in ("cosines", "sines")]
    past_shape: list[int | str] = ["batch", sizes.key_heads, "room", sizes.head_width]

    def norm(name: str) -> str:
        return (
            graph.weight("ones", np.ones(width, np.float32)) if rotated else graph.parameter(f"{PREFIX}{name}.weight")
        )

    def reading(y: str, layer: str, behind: str, *names: str) -> str:
        """One product for all matrices that read the stream behind the same norm."""
        stacked_NK = np.concatenate([graph.state[f"{PREFIX}{layer}{name}_proj.weight"] for name in names])
        if rotated:
            stacked_NK = rotate(stacked_NK * graph.state[f"{PREFIX}{layer}{behind}.weight"])
        stacked = f"{PREFIX}{layer}{'_'.join(n.split('.')[-1] for n in names)}"
        return graph.linear(y, stacked, stacked_NK, clip_value=CLIP_VALUE)

    def writing(y: str, name: str) -> str:
        """The product of a matrix that writes to the stream."""
        weight_NK = graph.state[f"{PREFIX}{name}_proj.weight"]
        if not rotated:
            return graph.linear(y, f"{PREFIX}{name}", weight_NK)
        level, largest = _per_row_scale(graph, y)
        added = graph.linear(level, f"{PREFIX}{name}", rotate(weight_NK.T).T, clip_value=1.0)
        return graph.op("Mul", added, largest)

    if rotated:
        x = graph.op("FusedMatMul", x, graph.weight("turn", rotate(np.eye(width, dtype=np.float32))))
    y = graph.op("SimplifiedLayerNormalization", x, norm("layers.0.input_layernorm"), epsilon=epsilon, axis=-1)
    for i in range(sizes.layers):
        layer = f"layers.{i}."
        past = [graph.input(f"past_{name}.{i}", past_shape) for name in ("keys", "values")]
        present = [graph.output(f"{name}.{i}", past_shape) for name in ("keys", "values")]
        qkv = reading(y, layer, "input_layernorm", "self_attn.q", "self_attn.k", "self_attn.v")
        mixed, *_ = graph.ops(
            "GroupQueryAttention",
            [qkv, "", "", *past, last, length, *rotary],
            [f"mixed.{i}", *present],
            num_heads=sizes.heads,
            kv_num_heads=sizes.key_heads,
            do_rotary=1,
        )
        added = writing(mixed, f"{layer}self_attn.o")
        y, x = _add_and_norm(graph, added, x, norm(f"{layer}post_attention_layernorm"), epsilon)
        both = reading(y, layer, "post_attention_layernorm", "mlp.gate", "mlp.up")
        gate, up = graph.ops("Split", [both], [f"gate.{i}", f"up.{i}"], axis=-1, num_outputs=2)
        inner = graph.op("Mul", graph.op("QuickGelu", gate, alpha=1.0), up)
        added = writing(inner, f"{layer}mlp.down")
        following = f"layers.{i + 1}.input_layernorm" if i + 1 < sizes.layers else "norm"
        y, x = _add_and_norm(graph, added, x, norm(following), epsilon)
    y_ND = graph.op("Reshape", y, graph.constant([-1, width]))
    chosen_RD = graph.op("Gather", y_ND, rows, axis=0)
    if rotated:
        back_DD = rotate(np.diag(graph.state[f"{PREFIX}norm.weight"]))
        chosen_RD = graph.op("FusedMatMul", chosen_RD, graph.weight("turn_back", back_DD), transB=1)
    head = EMBEDDING if sizes.tied else HEAD
    graph.product(chosen_RD, head, graph.state[head], bits=head_bits, out="logits")
    graph.output("logits", ["rows", "vocabulary"])


def _per_row_scale(graph: Graph, x: str) -> tuple[str, str]:
    """Rows scaled to a maximum of 1, and their scales: some rows, as the first of a text, are 100 times larger."""
    largest = graph.op("ReduceMax", graph.op("Abs", x), graph.constant([-1]))
    largest = graph.op("Max", largest, graph.constant(TINY, "float32"))
    return graph.op("Div", x, largest), largest


def _add_and_norm(graph: Graph, x: str, skip: str, weight: str, epsilon: float) -> tuple[str, str]:
    """The norm of a sum, and the sum."""
    outputs = [graph.fresh("norm"), "", "", graph.fresh("sum")]
    graph.ops("SkipSimplifiedLayerNormalization", [x, skip, weight], outputs, epsilon=epsilon)
    return outputs[0], outputs[3]
