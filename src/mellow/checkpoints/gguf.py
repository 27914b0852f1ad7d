"""Reading GGUF files of 4-bit language models: the fields that a Llama needs, and its tensors one at a time.

All counts and lengths in the file are checked against bounds. Fields that are not in WANTED are skipped without being
parsed: vocabularies, and chat templates, whose rendering has been a vulnerability of other programs.

The `gguf` package reads these files as well, and writes ours; but it needs seconds to parse the vocabulary in front of
the weights, which is not used here, and a second for an embedding (docs/log.md). The format is described
at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, blocks in ggml-quants.c.

Shapes: N rows, K columns, G blocks of BLOCK numbers, S bytes of a block.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mellow.errors import ModelError

__all__ = ["KINDS", "GgufFile", "GgufTensor"]

BLOCK = 32  # numbers that share a scale
TEXT, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
ALIGNMENT = 32  # bytes, the default
WANTED = frozenset(
    [
        "general.alignment",
        "llama.attention.head_count",
        "llama.attention.head_count_kv",
        "llama.attention.layer_norm_rms_epsilon",
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.rope.freq_base",
    ]
)
MOST_FIELDS = 1024  # SmolLM2's file has 37
MOST_TENSORS = 1 << 16
LONGEST_NAME = 256  # bytes
LONGEST_TEXT = 1 << 24  # bytes, also of fields that are skipped
LONGEST_LIST = 1 << 20  # entries; the largest vocabularies have a quarter of that
MOST_DIMENSIONS = 4  # as in ggml


class Kind(NamedTuple):
    """How numbers are stored: in a dtype, or in blocks of `bits` with or without a smallest value."""

    name: str
    bits: int
    dtype: str = ""
    has_least: bool = False

    @property
    def block_bytes(self) -> int:
        return 2 + 2 * self.has_least + BLOCK * self.bits // 8


KINDS = {
    0: Kind("F32", 32, "<f4"),
    1: Kind("F16", 16, "<f2"),
    2: Kind("Q4_0", 4),
    3: Kind("Q4_1", 4, has_least=True),
    6: Kind("Q5_0", 5),
    7: Kind("Q5_1", 5, has_least=True),
    8: Kind("Q8_0", 8),
}


@dataclass(frozen=True, eq=False)
class GgufTensor:
    """shape: as numpy counts it; content: its bytes in the file, mapped."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    content: np.ndarray

    def array(self) -> np.ndarray:
        """The values as a new float32 array."""
        if self.kind.dtype:
            return self.content.view(self.kind.dtype).astype(np.float32).reshape(self.shape)
        blocks_GS = self.content.reshape(-1, self.kind.block_bytes)
        scale_G1 = _halves(blocks_GS[:, :2])
        steps = np.ascontiguousarray(blocks_GS[:, 2 + 2 * self.kind.has_least :])
        values = _steps(steps, self.kind.bits).astype(np.float32)
        if not self.kind.has_least and self.kind.bits < 8:
            values -= 1 << (self.kind.bits - 1)
        values *= scale_G1
        if self.kind.has_least:
            values += _halves(blocks_GS[:, 2:4])
        return values.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class GgufFile:
    """fields: the numbers of WANTED, by name; tensors: by name."""

    path: Path
    fields: dict[str, int | float]
    tensors: dict[str, GgufTensor]

    @classmethod
    def open(cls, path: str | Path) -> GgufFile:
        """Map a file and read its header; ModelError where it is missing, damaged or of an unsupported kind."""
        path = Path(path)
        if not path.is_file():
            raise ModelError(
                f"The base language model {path} is missing; install the package again or fetch the base model."
            )
        try:
            return cls(path, *_Reading(np.memmap(path, mode="r")).everything())
        except _UnknownKindError as error:
            raise ModelError(
                f"The base language model {path} has an unsupported kind of tensor ({error}); make a copy with "
                f"'mellow base fetch --language-model'."
            ) from None
        except (ValueError, OSError, OverflowError, struct.error) as error:
            raise ModelError(f"The base language model {path} is not a readable GGUF file ({error}).") from None

    def field(self, name: str) -> Any:
        if name not in self.fields:
            raise ModelError(f"{self.path} has no GGUF field {name!r}; only Llama files can be a base language model.")
        return self.fields[name]


class _UnknownKindError(Exception):
    """A tensor in a kind that is not in KINDS."""


class Place(NamedTuple):
    """The place of a tensor: shape in numpy's order, number of its kind, offset in bytes from the first tensor."""

    name: str
    shape: tuple[int, ...]
    number: int
    offset: int

    @property
    def length(self) -> int:
        """Its size in bytes; raises for unknown kinds, and rows that are not made of whole blocks."""
        if self.number not in KINDS:
            raise _UnknownKindError(f"{self.name} is of the kind {self.number}")
        kind, count = KINDS[self.number], math.prod(self.shape)
        if kind.dtype:
            return count * kind.bits // 8
        if not self.shape or self.shape[-1] % BLOCK:
            raise ValueError(f"{self.name} has rows that are not made of whole blocks")
        return count // BLOCK * kind.block_bytes


class _Reading:
    """A cursor in the file that advances with every read."""

    def __init__(self, content: np.ndarray) -> None:
        self.content = content
        self.bytes = content.data
        self.at = 0

    def everything(self) -> tuple[dict[str, int | float], dict[str, GgufTensor]]:
        magic, version, tensors, fields = self.take("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("it is not a GGUF of version 2 or 3")
        bounded(fields, MOST_FIELDS, "settings")
        bounded(tensors, MOST_TENSORS, "tensors")
        found = dict(filter(None, (self.field() for _ in range(fields))))
        places = [self.place() for _ in range(tensors)]
        if self.at > len(self.content):
            raise ValueError("it is cut")
        alignment = int(found.get("general.alignment", ALIGNMENT))
        if alignment < 1:
            raise ValueError(f"its alignment is {alignment}")
        start = self.at + -self.at % alignment
        self.check_apart(places)
        return found, {place.name: self.tensor(start, place) for place in places}

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.bytes, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values

    def name(self) -> str:
        (length,) = self.take("Q")
        bounded(length, LONGEST_NAME, "bytes in a name")
        return str(self.take(f"{length}s")[0], "utf-8")

    def field(self) -> tuple[str, int | float] | None:
        """Name and number of a field of WANTED; None for others, which are skipped."""
        name, (kind,) = self.name(), self.take("I")
        if name not in WANTED:
            self.skip(kind)
            return None
        if kind not in SCALARS:
            raise ValueError(f"{name} is not a number")
        return name, self.take(SCALARS[kind])[0]

    def skip(self, kind: int) -> None:
        inner, count = self.take("IQ") if kind == ARRAY else (kind, 1)
        bounded(count, LONGEST_LIST, "entries in a list")
        if inner == TEXT:
            self.skip_texts(count)
        elif inner in SCALARS:
            self.at += count * struct.calcsize(f"<{SCALARS[inner]}")
        else:
            raise ValueError(f"a field is of the kind {inner}")

    def skip_texts(self, count: int) -> None:
        """A hundred thousand words and merges."""
        at, length_of = self.at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            (length,) = length_of(self.bytes, at)
            if length > LONGEST_TEXT:
                bounded(length, LONGEST_TEXT, "bytes in a text")
            at += 8 + length
        self.at = at

    def place(self) -> Place:
        """Name, shape, kind and offset of a tensor; GGUF counts dimensions from the innermost."""
        name, (dimensions,) = self.name(), self.take("I")
        bounded(dimensions, MOST_DIMENSIONS, "dimensions of a tensor")
        shape = self.take(f"{dimensions}Q")[::-1]
        number, offset = self.take("IQ")
        return Place(name, shape, number, offset)

    def check_apart(self, places: Sequence[Place]) -> None:
        """Raise ValueError where two tensors have one name, or share bytes."""
        if len({place.name for place in places}) < len(places):
            raise ValueError("two tensors have one name")
        end = 0
        for place in sorted(places, key=lambda place: place.offset):
            if place.offset < end:
                raise ValueError(f"{place.name} overlaps another tensor")
            end = place.offset + place.length

    def tensor(self, start: int, place: Place) -> GgufTensor:
        content = self.content[start + place.offset : start + place.offset + place.length]
        if len(content) < place.length:
            raise ValueError(f"{place.name} is cut")
        return GgufTensor(place.name, place.shape, KINDS[place.number], content)


def bounded(count: int, most: int, what: str) -> None:
    """Raise ValueError for a count beyond that of any genuine file."""
    if count > most:
        raise ValueError(f"it has {count} {what}, but at most {most} are allowed")


def _halves(bytes_G2: np.ndarray) -> np.ndarray:
    """Float16 numbers (G, 1) as float32."""
    return np.ascontiguousarray(bytes_G2).view("<f2").astype(np.float32)


def _steps(bytes_GS: np.ndarray, bits: int) -> np.ndarray:
    """Integers (G, BLOCK): fifth bits come first; the first half of a block is in the lower halves of the bytes."""
    if bits == 8:
        return bytes_GS.view(np.int8)
    low_GH = bytes_GS[:, 4 * (bits - 4) :]
    steps = np.concatenate([low_GH & 15, low_GH >> 4], 1)
    if bits == 5:
        steps |= np.unpackbits(bytes_GS[:, :4], axis=1, bitorder="little") << 4
    return steps
