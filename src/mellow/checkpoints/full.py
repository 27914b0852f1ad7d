"""Full checkpoints and encoders: a directory with all weights in one safetensors file, written atomically.

MODEL_DIR/config.json         the model's config (`mellow.config`); of an encoder, only its kind and sizes; `weights`:
                              bytes and sha256 of the weights
MODEL_DIR/model.safetensors   float32, under the names of our modules
MODEL_DIR/tokenizer.json      not for an encoder
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mellow.checkpoints.llama import check_total
from mellow.checkpoints.verified import is_remembered, remember, stamps
from mellow.config import ModelConfig, read_json
from mellow.encoders import EncoderConfig, EncoderSpec, encoder_spec, sizes_dict
from mellow.errors import ModelError
from mellow.files import new_directory, record, sha256

__all__ = [
    "WEIGHTS",
    "FullState",
    "check_shapes",
    "check_weights",
    "read_encoder",
    "write_encoder",
    "write_full",
]

WEIGHTS = "model.safetensors"
COUNTER = "num_batches_tracked"  # of batch norms: not used, not stored
TIED = "language_model.lm_head.weight"
Arrays = Mapping[str, np.ndarray]


class FullState(Mapping[str, np.ndarray]):
    """All tensors of a full checkpoint or an encoder, read one by one.

    shapes: of each tensor, by name. Raises ModelError for a file that is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            opened: Any = safe_open
            self.file = opened(str(path), framework="numpy")
            names = list(self.file.keys())
            self.shapes = {name: tuple(self.file.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is damaged ({error}).") from None

    @classmethod
    def open(cls, directory: Path, config: ModelConfig, *, verify: bool) -> FullState:
        """The weights of a model directory; verify: also check their sha256, not only their size.

        Raises ModelError naming the file that is missing, damaged or incompatible.
        """
        state = cls(check_weights(directory, config.files.get("weights") or {}, verify=verify))
        if config.is_llama:
            check_shapes(state.shapes, config, what=f"The model {directory}")
        return state

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        array: np.ndarray = self.file.get_tensor(name)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def write_full(directory: str | Path, *, config: ModelConfig, state: Arrays, tokenizer: str | Path) -> None:
    """Write a model directory; ModelError where it exists already or cannot be written.

    state: float32 arrays under the names of `MellowForConditionalGeneration`; a tied output matrix is left out.
    """
    is_tied = bool(config.text_config.get("tie_word_embeddings", False))
    kept = {name: array for name, array in state.items() if not (is_tied and name == TIED)}
    with new_directory(Path(directory)) as folder:
        weights = _write_weights(folder, kept)
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        (folder / "config.json").write_text(config.with_files(weights=weights).to_json(), encoding="utf-8")


def write_encoder(directory: str | Path, *, spec: EncoderSpec, sizes: EncoderConfig, state: Arrays) -> None:
    """Write an encoder directory; ModelError where it exists already or cannot be written.

    state: arrays under the names of the encoder's module.
    """
    with new_directory(Path(directory)) as folder:
        weights = _write_weights(folder, state)
        settings = {"encoder": spec.kind, "encoder_config": sizes_dict(sizes), "weights": weights}
        (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_encoder(directory: str | Path) -> tuple[EncoderSpec, EncoderConfig, FullState]:
    """Kind, sizes and tensors of an encoder directory; ModelError names the file that is missing or damaged."""
    directory = Path(directory)
    settings = read_json(directory)
    if not {"encoder", "encoder_config", "weights"} <= set(settings):
        raise ModelError(f"{directory} is not an encoder directory; make one with 'mellow convert --encoder'.")
    spec = encoder_spec(settings["encoder"])
    sizes = spec.sizes(settings["encoder_config"])
    state = FullState(check_weights(directory, settings["weights"]))
    _compare(sizes.shapes(), state.shapes, what=f"The encoder {directory}")
    return spec, sizes, state


def check_shapes(found: Mapping[str, tuple[int, ...]], config: ModelConfig, *, what: str) -> None:
    """Compare the tensors of a model with its config: KeyMapError for names, ModelError for shapes that differ.

    what: the model in messages, as the beginning of a sentence.
    """
    _compare(config.shapes(), found, what=what)


def check_weights(directory: Path, weights: Mapping[str, Any], *, verify: bool = True) -> Path:
    """The weights file of a directory; ModelError unless its size (and sha256, once a day) are those recorded."""
    path = directory / WEIGHTS
    if not path.is_file():
        raise ModelError(f"The model {directory} has no {WEIGHTS}.")
    found = stamps(directory, ["config.json", WEIGHTS])
    is_intact = path.stat().st_size == weights.get("bytes", path.stat().st_size)
    if is_intact and verify and "sha256" in weights and not is_remembered(directory, found):
        is_intact = sha256(path) == weights["sha256"]
        if is_intact:
            remember(directory, found)
    if not is_intact:
        raise ModelError(f"{path} is damaged: its content has changed; convert or fetch the model again.")
    return path


def _compare(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], *, what: str) -> None:
    kept = {name: shape for name, shape in found.items() if not name.endswith(COUNTER)}
    check_total(set(expected), set(kept), what=what)
    for name, shape in expected.items():
        if kept[name] != shape:
            raise ModelError(f"{what} has tensors of wrong shapes ({name} has {kept[name]}, not {shape}).")


def _write_weights(folder: Path, state: Arrays) -> dict[str, Any]:
    """Write the arrays; returns the record of the file."""
    path = folder / WEIGHTS
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items() if not name.endswith(COUNTER)}
    save_file(arrays, str(path), metadata={"format": "pt"})
    return record(path)
