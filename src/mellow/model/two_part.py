"""Two-part models: a base language model in a 4-bit GGUF that training never changes, and what was trained.

MODEL_DIR/config.json           MellowConfig; `base` names the GGUF and its sha256, `adapter` its rank and alpha
MODEL_DIR/trained.safetensors   encoder, mapper and low-rank adapters; matrices in int8 with a scale per row
MODEL_DIR/tokenizer.json
MODEL_DIR/base.gguf             only in the directory that ships it; others find it in the bundled model
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mellow.errors import ModelError
from mellow.model.base import read_llama_gguf
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.one_part import assemble, read_config

__all__ = ["BUNDLED", "find_base", "load_two_part", "pack", "save_two_part", "unpack"]

BUNDLED = Path(__file__).resolve().parent.parent / "pretrained" / "mini"
BASE = "base.gguf"
SCALE = ".scale"
LORA = "language_model."


def save_two_part(
    directory: str | Path,
    *,
    config: MellowConfig,
    trained: Mapping[str, np.ndarray],
    tokenizer: str | Path,
    base: str | Path | None = None,
) -> None:
    """Write a two-part model: nothing is left half-written.

    trained: tensors by name: `encoder.*`, `mapper.*` and, for each adapted matrix of the language model,
        `language_model.<module>.lora_A` (rank, in) and `.lora_B` (out, rank).
    base: the GGUF, copied beside the rest; None where it is the bundled one.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    parts = ["tokenizer.json", "trained.safetensors", "config.json"]
    if base is not None:
        parts.insert(0, BASE)
    partial = {name: directory / f"{name}.part" for name in parts}
    partial["tokenizer.json"].write_bytes(Path(tokenizer).read_bytes())
    save_file(pack(trained), str(partial["trained.safetensors"]))
    if base is not None:
        shutil.copyfile(base, partial[BASE])
    partial["config.json"].write_text(config.to_json_string(), encoding="utf-8")
    for path in partial.values():
        _sync(path)
    for name, path in partial.items():
        os.replace(path, directory / name)


def load_two_part(directory: str | Path, *, verify: bool = False) -> MellowForConditionalGeneration:
    """Build the model of a two-part directory in float32, its adapters merged into the base language model.

    verify: also check the base's sha256 (0.1 s).
    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    directory = Path(directory)
    config = read_config(directory)
    base = find_base(directory, config, verify=verify)
    trained = read_trained(directory)
    state = {f"language_model.{name}": tensor for name, tensor in read_llama_gguf(base).items()}
    try:
        scale = float(config.adapter["alpha"]) / float(config.adapter["rank"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise ModelError(
            f"The model {directory} does not tell the rank and alpha of its adapters in config.json."
        ) from None
    merge_adapters(state, trained, scale=scale)
    state |= {name: torch.from_numpy(array) for name, array in trained.items() if not name.startswith(LORA)}
    return assemble(config, state, what=f"The model {directory}")


def find_base(directory: Path, config: MellowConfig, *, verify: bool) -> Path:
    """The GGUF that a config names: beside it, or in the bundled model."""
    name = str(config.base.get("file", BASE))
    for folder in (directory, BUNDLED):
        if (folder / name).is_file():
            break
    else:
        raise ModelError(f"The base language model {name} of {directory} is missing here and in the bundled model.")
    path = folder / name
    if verify and "sha256" not in config.base:
        raise ModelError(f"The model {directory} does not tell the sha256 of its base language model in config.json.")
    if path.stat().st_size != int(config.base.get("bytes", path.stat().st_size)):
        raise ModelError(f"The base language model {path} is damaged: its size is not that in config.json.")
    if verify and hashlib.sha256(path.read_bytes()).hexdigest() != config.base["sha256"]:
        raise ModelError(
            f"The base language model {path} is damaged: its sha256 is not {config.base['sha256'][:12]}..."
        )
    return path


def read_trained(directory: Path) -> dict[str, np.ndarray]:
    """The trained part, unpacked to float32."""
    path = directory / "trained.safetensors"
    if not path.is_file():
        raise ModelError(f"The model {directory} lacks its trained part, trained.safetensors.")
    try:
        return unpack(load_file(str(path)))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}).") from None


def merge_adapters(state: dict[str, torch.Tensor], trained: Mapping[str, np.ndarray], *, scale: float) -> None:
    """Add scale * B @ A to each adapted matrix, in place; each tensor of the language model must be half of a pair."""
    for stem in sorted({name.rpartition(".")[0] for name in trained if name.startswith(LORA)}):
        weight = f"{stem}.weight"
        found = {name for name in trained if name.rpartition(".")[0] == stem}
        if weight not in state or found != {f"{stem}.lora_A", f"{stem}.lora_B"}:
            raise ModelError(f"The adapter {stem} is no pair lora_A, lora_B for a matrix of the base language model.")
        lora_A, lora_B = torch.from_numpy(trained[f"{stem}.lora_A"]), torch.from_numpy(trained[f"{stem}.lora_B"])
        if (len(lora_B), *lora_A.shape[1:]) != state[weight].shape or lora_B.shape[1:] != lora_A.shape[:1]:
            raise ModelError(f"The adapter {stem} has the wrong shape for its matrix of the base language model.")
        state[weight] = state[weight] + scale * (lora_B @ lora_A)


def pack(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices to int8 with one float32 scale per row (the exact step, where values already are int8 steps)."""
    packed: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if array.ndim < 2 or array.size < 4096:
            packed[name] = np.ascontiguousarray(array, dtype=np.float32)
            continue
        flat = array.reshape(len(array), -1).astype(np.float32)
        step = _common_step(flat)
        scale = np.full(len(flat), step, np.float32) if step else np.maximum(np.abs(flat).max(1), 1e-12) / 127
        packed[name] = np.rint(flat / scale[:, None]).astype(np.int8).reshape(array.shape)
        packed[name + SCALE] = scale.astype(np.float32)
    return packed


def unpack(packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `pack`, float32."""
    tensors = {}
    for name, array in packed.items():
        if name.endswith(SCALE):
            continue
        if array.dtype == np.int8:
            scale = packed[name + SCALE].reshape(-1, *[1] * (array.ndim - 1))
            tensors[name] = array.astype(np.float32) * scale
        else:
            tensors[name] = array
    return tensors


def _common_step(flat: np.ndarray) -> float | None:
    """The step of values that all are small whole multiples of it (an int8 source), else None."""
    values = np.unique(flat)
    if not 1 < len(values) <= 256:
        return None
    whole = values / float(np.diff(values).min())  # not yet exact: the difference has the rounding errors of both
    if np.abs(whole).max() >= 127.5 or not np.allclose(whole, np.rint(whole), atol=1e-2):
        return None
    largest = int(np.abs(values).argmax())
    return float(values[largest] / np.rint(whole[largest]))


def _sync(path: Path) -> None:
    """Wait until a file is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
