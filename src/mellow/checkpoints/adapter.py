"""Adapter checkpoints: a base language model in a 4-bit GGUF, unchanged by training, and the trained tensors.

MODEL_DIR/config.json           the model's config; `base` names the GGUF and its sha256, `adapter` its rank and alpha,
                                `weights` the bytes and sha256 of trained.safetensors
MODEL_DIR/trained.safetensors   encoder, mapper, event head and low-rank adapters; matrices in int8 (`int8`)
MODEL_DIR/tokenizer.json
MODEL_DIR/base.gguf             only in the directory that ships it; others find it in the bundled model
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mellow.checkpoints.base import BASE, find_base
from mellow.checkpoints.full import check_shapes
from mellow.checkpoints.int8 import check_packed, pack, packed_names, restore, unpack
from mellow.checkpoints.llama import LlamaFile
from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.files import record, sha256, sync

__all__ = ["TRAINED", "AdapterState", "read_trained", "write_adapter"]

TRAINED = "trained.safetensors"
LANGUAGE_MODEL = "language_model."


class AdapterState(Mapping[str, np.ndarray]):
    """All tensors of an adapter checkpoint, float32, by the names of our modules; a tied output matrix is left out.

    Each is unpacked, and its adapter merged, when it is read, so that only one is in memory at a time.
    shapes: of each tensor, by name.
    """

    def __init__(self, base: LlamaFile, packed: Mapping[str, np.ndarray], *, scale: float) -> None:
        """packed: the trained tensors as they are stored; scale: alpha over rank of the adapters.

        Raises ModelError for an incomplete adapter, or one whose shape does not match its matrix.
        """
        self.base, self.packed, self.scale = base, packed, scale
        own = {name: packed[name].shape for name in packed_names(packed) if not name.startswith(LANGUAGE_MODEL)}
        self.shapes = {f"{LANGUAGE_MODEL}{name}": shape for name, shape in base.shapes.items()} | own
        self.adapted = {name.rpartition(".")[0] for name in packed_names(packed) if name.startswith(LANGUAGE_MODEL)}
        for stem in sorted(self.adapted):
            self._check_adapter(stem)

    @classmethod
    def open(cls, directory: Path, config: ModelConfig, *, verify: bool) -> AdapterState:
        """Open a model directory; verify: also check the sha256 of base and trained tensors (0.1 s).

        Raises ModelError naming the file that is missing, damaged or incompatible.
        """
        base = find_base(directory, config.files, verify=verify)
        packed = _read_packed(directory)
        recorded = config.files.get("weights") or {}
        if recorded and (
            (directory / TRAINED).stat().st_size != recorded.get("bytes")
            or (verify and sha256(directory / TRAINED) != recorded.get("sha256"))
        ):
            raise ModelError(f"{directory / TRAINED} is not the file recorded in config.json; save the model again.")
        try:
            scale = float(config.files["adapter"]["alpha"]) / float(config.files["adapter"]["rank"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise ModelError(f"The config.json of {directory} has no rank and alpha of the adapters.") from None
        state = cls(LlamaFile(base), packed, scale=scale)
        check_shapes(state.shapes, config, what=f"The model {directory}")
        return state

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        if not name.startswith(LANGUAGE_MODEL):
            return restore(self.packed, name)
        array = self.base[name.removeprefix(LANGUAGE_MODEL)]
        stem = name.rpartition(".")[0]
        if stem in self.adapted:
            lora_A, lora_B = (restore(self.packed, f"{stem}.lora_{half}") for half in "AB")
            array += self.scale * (lora_B @ lora_A)
        return array

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def _check_adapter(self, stem: str) -> None:
        found = {name for name in packed_names(self.packed) if name.rpartition(".")[0] == stem}
        whole = self.shapes.get(f"{stem}.weight")
        if whole is None or found != {f"{stem}.lora_A", f"{stem}.lora_B"}:
            raise ModelError(f"The adapter {stem} is not a pair lora_A, lora_B for a matrix of the language model.")
        shape_A, shape_B = (self.packed[f"{stem}.lora_{half}"].shape for half in "AB")
        if (shape_B[0], *shape_A[1:]) != whole or shape_B[1:] != shape_A[:1]:
            raise ModelError(f"The adapter {stem} has the wrong shape for its matrix of the base language model.")


def write_adapter(
    directory: str | Path,
    *,
    config: ModelConfig,
    trained: Mapping[str, np.ndarray],
    tokenizer: str | Path,
    base: str | Path | None = None,
) -> None:
    """Write an adapter checkpoint; if the process is killed, the old one stays, or a mixture that loading refuses.

    config: the model's, with its `base` and `adapter`.
    trained: tensors by name: `encoder.*`, `mapper.*`, `events.*` and, for each adapted matrix of the language model,
        `language_model.<module>.lora_A` (rank, in) and `.lora_B` (out, rank).
    base: the GGUF, copied into the directory; None for the bundled one.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    parts = ["tokenizer.json", TRAINED, "config.json"]
    if base is not None:
        parts.insert(0, BASE)
    partial = {name: directory / f"{name}.part" for name in parts}
    partial["tokenizer.json"].write_bytes(Path(tokenizer).read_bytes())
    save_file(pack(trained), str(partial[TRAINED]))
    if base is not None:
        shutil.copyfile(base, partial[BASE])
    whole = config.with_files(**{**config.files, "weights": record(partial[TRAINED])})
    partial["config.json"].write_text(whole.to_json(), encoding="utf-8")
    for path in partial.values():
        sync(path)
    for name, path in partial.items():
        os.replace(path, directory / name)


def read_trained(directory: Path) -> dict[str, np.ndarray]:
    """The trained tensors, unpacked to float32; ModelError where they are missing or damaged."""
    return unpack(_read_packed(directory))


def _read_packed(directory: Path) -> dict[str, np.ndarray]:
    path = directory / TRAINED
    if not path.is_file():
        raise ModelError(f"The model {directory} has no {TRAINED}.")
    try:
        packed = load_file(str(path))
        check_packed(packed)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}).") from None
    return packed
