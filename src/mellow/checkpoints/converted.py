"""Published checkpoints that were converted into the cache before: found by their names, without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mellow.checkpoints.cache import models_folder, touch
from mellow.checkpoints.full import check_weights
from mellow.checkpoints.names import HUB
from mellow.config import ModelConfig
from mellow.errors import ModelError

__all__ = ["check_converted", "converted_name", "find_converted"]


def converted_name(name: str) -> str:
    """The name in the cache of a hub model, or of a checkpoint's path; another content is another name.

    Raises ModelError for a path where there is no file.
    """
    if name in HUB:
        return name
    checkpoint = Path(name).resolve()
    if not checkpoint.is_file():
        raise ModelError(f"The checkpoint {name!r} is missing; check the path or fetch it again.")
    status = checkpoint.stat()
    version = hashlib.sha256(f"{checkpoint}|{status.st_size}|{status.st_mtime_ns}".encode()).hexdigest()[:12]
    return f"{checkpoint.stem}-{version}"


def find_converted(name: str) -> Path | None:
    """The model directory that a hub model or checkpoint was converted into; None where it is not there, or damaged."""
    directory = models_folder() / converted_name(name)
    if not directory.is_dir():
        return None
    try:
        check_converted(directory)
    except ModelError:
        return None
    touch(directory)
    return directory


def check_converted(directory: Path) -> None:
    """Raise ModelError where a converted model is damaged: its weights are not what was recorded."""
    check_weights(directory, ModelConfig.read(directory).files.get("weights") or {})
