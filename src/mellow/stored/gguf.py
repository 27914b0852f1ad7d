"""Reading GGUF, the file of a 4-bit language model: its settings, and its tensors one at a time.

The `gguf` package reads these files too, and writes ours; but it takes seconds to parse the lists of words that stand
in front of the weights, which nobody here wants, and a second for an embedding (docs/log.md). The format is described
at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, blocks in ggml-quants.c.

Shapes: N rows, K columns, G blocks of BLOCK numbers, S bytes of a block.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mellow.errors import ModelError

__all__ = ["KINDS", "GgufFile", "GgufTensor"]

BLOCK = 32  # numbers that share a scale
TEXT, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
ALIGNMENT = 32  # bytes, where the file does not tell


class Kind(NamedTuple):
    """How numbers are stored: plainly in a dtype, or in blocks of `bits`, with a smallest value or around zero."""

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
        """The values, float32, in memory of their own."""
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
    """fields: single values by name, without lists; tensors: by name."""

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, GgufTensor]

    @classmethod
    def open(cls, path: str | Path) -> GgufFile:
        """Map a file and read what it holds; ModelError where it is missing, damaged or in kinds not known here."""
        path = Path(path)
        if not path.is_file():
            raise ModelError(
                f"The base language model {path} is missing; install the package again or fetch the base model."
            )
        try:
            return cls(path, *_Reading(np.memmap(path, mode="r")).everything())
        except _UnknownKindError as error:
            raise ModelError(
                f"The base language model {path} is stored in a way not known here ({error}); make a copy with "
                f"'mellow base fetch --language-model'."
            ) from None
        except (ValueError, OSError, OverflowError, struct.error) as error:
            raise ModelError(
                f"The base language model {path} is not a readable GGUF file ({type(error).__name__})."
            ) from None

    def field(self, name: str) -> Any:
        if name not in self.fields:
            raise ModelError(
                f"{self.path} lacks the GGUF field {name!r}; only Llama files can be a base language model."
            )
        return self.fields[name]


class _UnknownKindError(Exception):
    """A tensor in a kind that is not in KINDS."""


class _Reading:
    """A place in the file that moves on with everything that is read."""

    def __init__(self, content: np.ndarray) -> None:
        self.content = content
        self.bytes = content.data
        self.at = 0

    def everything(self) -> tuple[dict[str, Any], dict[str, GgufTensor]]:
        magic, version, tensors, fields = self.take("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("no GGUF of version 2 or 3")
        found = {self.text(): self.value(self.take("I")[0]) for _ in range(fields)}
        places = [self.place() for _ in range(tensors)]
        start = self.at + -self.at % int(found.get("general.alignment", ALIGNMENT))
        return found, {place[0]: self.tensor(start, *place) for place in places}

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.bytes, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values

    def text(self) -> str:
        (length,) = self.take("Q")
        return str(self.take(f"{length}s")[0], "utf-8")

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            return self.take(SCALARS.get(kind, ""))[0] if kind in SCALARS else self.unknown(kind)
        inner, count = self.take("IQ")
        if inner in SCALARS:
            self.at += count * struct.calcsize(f"<{SCALARS[inner]}")
        elif inner == TEXT:
            self.skip_texts(count)
        else:
            self.unknown(inner)
        return None

    def unknown(self, kind: int) -> None:
        raise ValueError(f"a field of the kind {kind}")

    def skip_texts(self, count: int) -> None:
        """A hundred thousand words and merges."""
        at, length_of = self.at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length_of(self.bytes, at)[0]
        self.at = at

    def place(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, kind and offset of a tensor; GGUF counts dimensions from the innermost."""
        name, (dimensions,) = self.text(), self.take("I")
        return name, self.take(f"{dimensions}Q")[::-1], *self.take("IQ")  # type: ignore[return-value]

    def tensor(self, start: int, name: str, shape: tuple[int, ...], number: int, offset: int) -> GgufTensor:
        if number not in KINDS:
            raise _UnknownKindError(f"{name} is of the kind {number}")
        kind, count = KINDS[number], 1
        for size in shape:
            count *= size
        if not kind.dtype and shape[-1] % BLOCK:
            raise ValueError(f"{name} has rows of {shape[-1]}")
        length = count * kind.bits // 8 if kind.dtype else count // BLOCK * kind.block_bytes
        content = self.content[start + offset : start + offset + length]
        if len(content) < length:
            raise ValueError(f"{name} is cut")
        return GgufTensor(name, shape, kind, content)


def _halves(bytes_G2: np.ndarray) -> np.ndarray:
    """Float16 numbers (G, 1) as float32."""
    return np.ascontiguousarray(bytes_G2).view("<f2").astype(np.float32)


def _steps(bytes_GS: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers (G, BLOCK): fifth bits stand in front, the first half of a block in the lower halves of bytes."""
    if bits == 8:
        return bytes_GS.view(np.int8)
    low_GH = bytes_GS[:, 4 * (bits - 4) :]
    steps = np.concatenate([low_GH & 15, low_GH >> 4], 1)
    if bits == 5:
        steps |= np.unpackbits(bytes_GS[:, :4], axis=1, bitorder="little") << 4
    return steps
