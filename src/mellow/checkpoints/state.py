"""The tensors of any model directory, full or adapter checkpoint, and what equal models are known by."""

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
    """All tensors by name, float32; verify: the sha256 of the files, too, not only their sizes.

    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    opened = AdapterState if config.files.get("base") else FullState
    return opened.open(directory, config, verify=verify)


def check_parts(directory: Path, config: ModelConfig) -> None:
    """Raise ModelError for a part that is missing or of another size than recorded."""
    for name in ("tokenizer.json", *([TRAINED] if config.files.get("base") else [])):
        if not (directory / name).is_file():
            raise ModelError(f"The model {directory} lacks its part {name}.")
    if config.files.get("base"):
        find_base(directory, config.files, verify=False)
    else:
        check_weights(directory, config.files.get("weights") or {}, verify=False)


def fingerprint(directory: Path, config: ModelConfig, *more: str) -> str:
    """Of a model and whatever else counts: 64 hexadecimal digits.

    Base and full weights count by the sha256 in config.json, against which they are checked when they are read.
    Raises ModelError for a part that is missing.
    """
    names = ["config.json", "tokenizer.json", *([TRAINED] if config.files.get("base") else [])]
    for name in names:
        if not (directory / name).is_file():
            raise ModelError(f"The model {directory} lacks its part {name}.")
    sums = [sha256(directory / name) for name in names]
    return hashlib.sha256(" ".join([*sums, *more]).encode()).hexdigest()
