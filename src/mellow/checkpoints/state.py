"""The tensors of any model directory, full or adapter checkpoint, and the fingerprint that equal models share."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mellow.checkpoints.adapter import TRAINED, AdapterState
from mellow.checkpoints.base import find_base
from mellow.checkpoints.full import FullState, check_weights
from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.files import sha256

__all__ = ["check_parts", "fingerprint", "open_state"]


def open_state(directory: Path, config: ModelConfig, *, verify: bool) -> FullState | AdapterState:
    """All tensors by name, float32; verify: also check the sha256 of the files, not only their sizes.

    Raises ModelError naming the file that is missing, damaged or incompatible.
    """
    opened = AdapterState if config.files.get("base") else FullState
    return opened.open(directory, config, verify=verify)


def check_parts(directory: Path, config: ModelConfig) -> None:
    """Raise ModelError for a file that is missing or does not have the recorded size."""
    for name in ("tokenizer.json", *([TRAINED] if config.files.get("base") else [])):
        if not (directory / name).is_file():
            raise ModelError(f"The model {directory} has no {name}.")
    if config.files.get("base"):
        find_base(directory, config.files, verify=False)
    else:
        check_weights(directory, config.files.get("weights") or {}, verify=False)


def fingerprint(directory: Path, config: ModelConfig, *more: str) -> str:
    """The fingerprint of a model and other facts: 64 hexadecimal digits.

    Base and full weights count by their sha256 in config.json, which is checked when they are read.
    Raises ModelError for a file that is missing.
    """
    names = ["config.json", "tokenizer.json", *([TRAINED] if config.files.get("base") else [])]
    for name in names:
        if not (directory / name).is_file():
            raise ModelError(f"The model {directory} has no {name}.")
    sums = [sha256(directory / name) for name in names]
    return hashlib.sha256(" ".join([*sums, *more]).encode()).hexdigest()
