"""Building an ONNX graph: nodes by their names, weights in a file or in memory.

Shapes: R rows, N outputs, K inputs of a linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from mellow.graphs import proto
from mellow.graphs.quantise import BLOCK, quantise_blocks, quantise_columns

__all__ = ["FLOAT32", "OPERATORS", "Graph", "State", "WeightFile", "WeightMemory", "Weights", "pack"]

State = Mapping[str, np.ndarray]

PAGE = 4096  # bytes; large weights begin with one, so that they can be mapped from the file
LINE = 64  # bytes; small ones with a line of the processor's cache
INTEGER_PRODUCTS = 4  # MatMulNBits rounds activations to 8 bits per block and multiplies whole numbers
COLUMNS = 32  # multiples have whole-number products; ONNX Runtime before 1.25 errs at others (its PR 27671)
FLOAT32 = 1  # ONNX's number of the type
MICROSOFT = "com.microsoft"
OPERATORS = {  # by domain: all operators of our graphs, and the only ones that a graph may have to be opened
    "": frozenset(
        {
            "Abs",
            "Add",
            "AveragePool",
            "Cast",
            "Concat",
            "Conv",
            "Div",
            "Expand",
            "Gather",
            "Identity",
            "LayerNormalization",
            "Max",
            "MaxPool",
            "Mod",
            "Mul",
            "Neg",
            "Pad",
            "QuantizeLinear",
            "ReduceMax",
            "ReduceMean",
            "Relu",
            "Reshape",
            "Resize",
            "Shape",
            "Sigmoid",
            "SimplifiedLayerNormalization",
            "Slice",
            "Split",
            "Squeeze",
            "Transpose",
            "Unsqueeze",
        }
    ),
    MICROSOFT: frozenset(
        {
            "DynamicQuantizeMatMul",
            "FusedMatMul",
            "Gelu",
            "GroupQueryAttention",
            "MatMulIntegerToFloat",
            "MatMulNBits",
            "MultiHeadAttention",
            "QuickGelu",
            "SkipSimplifiedLayerNormalization",
        }
    ),
}


class Weights(Protocol):
    """Where the weights of a graph go.

    add: returns the TensorProto that finds them there; keep: of an array that the graph itself does not use.
    """

    def add(self, name: str, array: np.ndarray) -> bytes: ...
    def keep(self, name: str, array: np.ndarray) -> None: ...


class WeightFile:
    """Weights in a file beside the graph, one after the other, large ones at the start of a page; a context manager.

    places: name -> offset in bytes, shape and dtype.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, dict[str, object]] = {}

    def __enter__(self) -> WeightFile:
        self.file = self.path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.file.close()

    def add(self, name: str, array: np.ndarray) -> bytes:
        self.file.write(bytes(-self.file.tell() % (PAGE if array.nbytes >= PAGE else LINE)))
        offset = self.file.tell()
        self.file.write(np.ascontiguousarray(array).data)
        self.places[name] = {"offset": offset, "shape": list(array.shape), "dtype": array.dtype.name}
        return proto.external_tensor(name, array, file=self.path.name, offset=offset)

    def keep(self, name: str, array: np.ndarray) -> None:
        self.add(name, array)


class WeightMemory:
    """Weights in memory, for where no file can be written; arrays: of the graph, others: kept beside it, by name."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.others: dict[str, np.ndarray] = {}

    def add(self, name: str, array: np.ndarray) -> bytes:
        self.arrays[name] = np.ascontiguousarray(array)
        return proto.external_tensor(name, array, file="memory", offset=0)

    def keep(self, name: str, array: np.ndarray) -> None:
        self.others[name] = array


class Graph:
    """A graph under construction; values are known by their names.

    state: float32 arrays of the model by the names of its modules; weights: where those of the graph go.
    bits: of the weights of linear layers: 32; 16 (stored so, computed in float32); 8, with a scale per output and
        activations that are rounded on the way in (or 16, where outputs are no multiple of COLUMNS); 4, in blocks.
    """

    def __init__(self, state: State, weights: Weights, *, bits: int = 32) -> None:
        self.state = state
        self.weights = weights
        self.bits = bits
        self.nodes: list[bytes] = []
        self.tensors: dict[str, bytes] = {}
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []
        self.count = 0

    def model(self) -> bytes:
        """The finished file."""
        return proto.model(self.nodes, self.tensors.values(), self.inputs, self.outputs)

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> str:
        self.inputs.append(proto.value(name, dtype, shape))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> str:
        self.outputs.append(proto.value(name, "float32", shape))
        return name

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: proto.Attribute) -> str:
        """A node with one output, of that name or a new one."""
        return self.ops(kind, inputs, [out or self.fresh(kind)], **attributes)[0]

    def ops(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: proto.Attribute
    ) -> Sequence[str]:
        """A node with several outputs; "" is one that is not needed."""
        domain = next(name for name, kinds in OPERATORS.items() if kind in kinds)
        self.nodes.append(proto.node(kind, inputs, outputs, attributes, domain=domain))
        return outputs

    def fresh(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def constant(self, values: object, dtype: str = "int64") -> str:
        """Small values that stand in the graph."""
        array = np.array(values, dtype)
        name = f"{dtype}{array.shape}_{array.tobytes().hex()}"
        self.tensors.setdefault(name, proto.tensor(name, array))
        return name

    def weight(self, name: str, array: np.ndarray) -> str:
        """Values among the weights."""
        if name not in self.tensors:
            self.tensors[name] = self.weights.add(name, array)
        return name

    def parameter(self, name: str) -> str:
        """A parameter of the model as it is, float32."""
        return self.weight(name, self.state[name].astype(np.float32, copy=False))

    def linear(
        self, x: str, name: str, weight_NK: np.ndarray, *, bias: str = "", clip_value: float | None = None
    ) -> str:
        """x (..., K) times a transposed matrix: (..., N), in the precision of the graph.

        bias: the name of a weight (N) that is added.
        clip_value: in 8 bits, how large x may get, beyond which it is clipped; its rows are then rounded alike whatever
            stands beside them. None: as large as it is this time.
        """
        if self.bits == 8 and len(weight_NK) % COLUMNS == 0:
            return self._by_columns(x, name, weight_NK, bias, clip_value)
        y = self.product(x, name, weight_NK, bits=16 if self.bits == 8 else self.bits)
        return self.op("Add", y, bias) if bias else y

    def product(self, x: str, name: str, weight_NK: np.ndarray, *, bits: int, out: str = "") -> str:
        """x (..., K) times a transposed matrix that is stored as `pack` does it, in blocks below 16 bits: (..., N)."""
        stored = [self.weight(part, array) for part, array in pack(name, weight_NK, bits).items()]
        if bits < 16:
            rows, columns = weight_NK.shape
            how = {"K": columns, "N": rows, "bits": bits, "block_size": BLOCK, "accuracy_level": INTEGER_PRODUCTS}
            return self.op("MatMulNBits", x, *stored, out=out, **how)
        full = stored[0] if bits == 32 else self.op("Cast", stored[0], to=FLOAT32)
        return self.op("FusedMatMul", x, full, out=out, transB=1)

    def _by_columns(self, x: str, name: str, weight_NK: np.ndarray, bias: str, clip_value: float | None) -> str:
        """A product of whole numbers, with a scale per column of weights and one for all activations."""
        steps_KN, scales_N = quantise_columns(weight_NK.T)
        steps, scales = self.weight(f"{name}.steps", steps_KN), self.weight(f"{name}.scales", scales_N)
        last = ["", bias] if bias else []  # no zero points of the weights
        if clip_value is None:
            return self.op("DynamicQuantizeMatMul", x, steps, scales, *last)
        step, middle = self.constant(clip_value / 127, "float32"), self.constant(128, "uint8")
        rounded = self.op("QuantizeLinear", x, step, middle)
        return self.op("MatMulIntegerToFloat", rounded, steps, step, scales, middle, *last)


def pack(name: str, weight_NK: np.ndarray, bits: int) -> dict[str, np.ndarray]:
    """A matrix as it is stored: itself at 32 and 16 bits, else its blocks, each part by its name."""
    if bits >= 16:
        return {name: weight_NK.astype(np.float32 if bits == 32 else np.float16, copy=False)}
    return {f"{name}.{part}": array for part, array in quantise_blocks(weight_NK, bits)._asdict().items()}
