"""ONNX files written byte by byte: the few messages of its protobuf format that our graphs need.

With it, no package beside numpy is needed to make a graph, so that any model can become one where only the base install
is. Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ONNX 1.17, IR version 10).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

__all__ = ["Attribute", "attribute", "external_tensor", "model", "node", "tensor", "value"]

Attribute = int | float | str | Sequence[int]

IR_VERSION = 10
OPSETS = {"": 18, "com.microsoft": 1}
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
EXTERNAL = 1


def model(nodes: Iterable[bytes], tensors: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """A ModelProto with one graph of these messages."""
    graph = b"".join(
        [
            *(_bytes(1, message) for message in nodes),
            _text(2, "mellow"),
            *(_bytes(5, message) for message in tensors),
            *(_bytes(11, message) for message in inputs),
            *(_bytes(12, message) for message in outputs),
        ]
    )
    opsets = [_bytes(8, _text(1, domain) + _int(2, version)) for domain, version in OPSETS.items()]
    return _int(1, IR_VERSION) + _text(2, "mellow") + _bytes(7, graph) + b"".join(opsets)


def node(
    op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute], *, domain: str = ""
) -> bytes:
    """A NodeProto, named by its first output; "" stands for an input or output that is left out."""
    parts = [*(_text(1, name) for name in inputs), *(_text(2, name) for name in outputs)]
    parts += [_text(3, outputs[0]), _text(4, op)]
    parts += [_bytes(5, attribute(name, given)) for name, given in attributes.items()]
    return b"".join([*parts, _text(7, domain)])


def attribute(name: str, given: Attribute) -> bytes:
    """An AttributeProto: a float, an int, a text or a list of ints."""
    head = _text(1, name)
    if isinstance(given, float):
        return head + _key(2, 5) + struct.pack("<f", given) + _int(20, 1)
    if isinstance(given, int):
        return head + _int(3, given) + _int(20, 2)
    if isinstance(given, str):
        return head + _text(4, given) + _int(20, 3)
    return head + b"".join(_int(8, int(number)) for number in given) + _int(20, 7)


def tensor(name: str, array: np.ndarray) -> bytes:
    """A TensorProto that holds its values."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return _tensor_head(name, array) + _bytes(9, little.tobytes())


def external_tensor(name: str, array: np.ndarray, *, file: str, offset: int) -> bytes:
    """A TensorProto whose values lie in a file beside the graph, `offset` bytes from its start."""
    entries = {"location": file, "offset": str(offset), "length": str(array.nbytes)}
    pairs = [_bytes(13, _text(1, key) + _text(2, entry)) for key, entry in entries.items()]
    return _tensor_head(name, array) + b"".join(pairs) + _int(14, EXTERNAL)


def value(name: str, dtype: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto of a graph's input or output; sizes that vary are given by name."""
    sizes = [_bytes(1, _text(2, size) if isinstance(size, str) else _int(1, size)) for size in shape]
    kind = _int(1, TYPES[dtype]) + _bytes(2, b"".join(sizes))
    return _text(1, name) + _bytes(2, _bytes(1, kind))


def _tensor_head(name: str, array: np.ndarray) -> bytes:
    return b"".join(_int(1, size) for size in array.shape) + _int(2, TYPES[array.dtype.name]) + _text(8, name)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _int(field: int, number: int) -> bytes:
    return _key(field, 0) + _varint(number & 0xFFFFFFFFFFFFFFFF)  # negative ones as 64 bits


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
