"""Checking an ONNX file before ONNX Runtime reads it: whatever our writer does not write is refused.

Messages are walked by the same field numbers that `proto` writes; an unknown field, such as a function or a subgraph,
is refused whatever it holds. Nothing is built but names, so that a file of any size costs no more memory than itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mellow.errors import ModelError
from mellow.graphs.graph import OPERATORS

__all__ = ["check_graph"]

Field = tuple[int, memoryview]

# Fields of each message that our graphs have, and the message that stands in them.
FIELDS: dict[str, dict[int, str]] = {
    "model": {1: "", 2: "", 7: "graph", 8: ""},
    "graph": {1: "node", 2: "", 5: "tensor", 11: "", 12: ""},
    "node": {1: "", 2: "", 3: "", 4: "operator", 5: "attribute", 7: "domain"},
    "attribute": {1: "", 2: "", 3: "", 4: "", 8: "", 20: ""},
    "tensor": {1: "", 2: "", 8: "", 9: "", 13: "entry", 14: ""},
    "entry": {1: "key", 2: "value"},
}
LONGEST_VARINT = 10  # bytes
FIXED = {1: 8, 5: 4}  # bytes of wire types


def check_graph(path: Path, sizes: Mapping[str, int]) -> None:
    """Raise ModelError unless a graph has only our operators, and its weights are in files of its directory.

    sizes: in bytes, of each file that the graph may find weights in, by name.
    """
    try:
        _check(memoryview(path.read_bytes()), "model", path, sizes)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path} is not an ONNX graph written by Mellow ({error}).") from None


def _check(message: memoryview, kind: str, path: Path, sizes: Mapping[str, int]) -> None:
    texts: dict[str, str] = {}
    entries: dict[str, str] = {}
    for number, content in _fields(message):
        inner = FIELDS[kind].get(number)
        if inner is None:
            raise ValueError(f"field {number} of a {kind} is not known")
        if inner == "entry":
            key, value = _entry(content)
            if key in entries:
                raise ValueError(f"a tensor has two values of {key[:80]!r}")
            entries[key] = value
        elif inner in FIELDS:
            _check(content, inner, path, sizes)
        elif inner:
            texts[inner] = str(content, "utf-8")
    if kind == "node":
        _check_operator(texts, path)
    if entries:
        _check_place(entries, path, sizes)


def _check_operator(texts: Mapping[str, str], path: Path) -> None:
    domain, operator = texts.get("domain", ""), texts.get("operator", "")
    if operator not in OPERATORS.get(domain, ()):
        name = f"{domain}.{operator}".lstrip(".")
        raise ModelError(
            f"The graph {path} uses the operator {name[:80]!r}, which is none of those that Mellow writes."
        )


def _check_place(entries: Mapping[str, str], path: Path, sizes: Mapping[str, int]) -> None:
    file = entries.get("location", "")
    if file not in sizes:
        raise ModelError(
            f"The graph {path} has weights in {file[:80]!r}, which is no file that its config.json records."
        )
    offset, length = int(entries.get("offset", "0")), int(entries.get("length", "0"))
    if set(entries) != {"location", "offset", "length"} or min(offset, length) < 0 or offset + length > sizes[file]:
        raise ModelError(f"The graph {path} has weights outside the file {file!r}.")


def _entry(message: memoryview) -> tuple[str, str]:
    texts = {FIELDS["entry"].get(number, ""): str(content, "utf-8") for number, content in _fields(message)}
    return texts.get("key", ""), texts.get("value", "")


def _fields(message: memoryview) -> Iterator[Field]:
    """Number and content of each field; whole numbers have no content."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            length, (_, at) = 0, _varint(message, at)
        elif wire == 2:
            length, at = _varint(message, at)
        elif wire in FIXED:
            length = FIXED[wire]
        else:
            raise ValueError(f"a field of the wire type {wire}")
        if at + length > len(message):
            raise ValueError("a field is cut")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for place in range(LONGEST_VARINT):
        byte = message[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("a number is endless")
