"""Finding the base language model of an adapter checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellow.checkpoints.names import BUNDLED
from mellow.errors import ModelError
from mellow.files import sha256

__all__ = ["BASE", "find_base"]

BASE = "base.gguf"


def find_base(directory: Path, files: Mapping[str, Any], *, verify: bool) -> Path:
    """The GGUF recorded in a config's `files`: in the same directory, or in the bundled model.

    Its size is checked where it is recorded; verify: also its sha256. Raises ModelError where they differ.
    """
    recorded = files["base"] if isinstance(files.get("base"), dict) else {}
    name = str(recorded.get("file", BASE))
    path = next((folder / name for folder in (directory, BUNDLED) if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"The base language model {name} of {directory} is missing there and in the bundled model.")
    if "sha256" not in recorded and verify:
        raise ModelError(f"The config.json of {directory} has no sha256 of the base language model.")
    if path.stat().st_size != recorded.get("bytes", path.stat().st_size):
        raise ModelError(f"The base language model {path} is damaged: its size is not the one in config.json.")
    if verify and sha256(path) != recorded["sha256"]:
        raise ModelError(
            f"The base language model {path} is damaged: its sha256 is not {str(recorded['sha256'])[:12]}..."
        )
    return path
