"""A graph directory as it is found: its config, and its files checked against what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mellow.errors import ModelError
from mellow.runtime.language import language_sizes
from mellow.stored.files import sha256
from mellow.text.heard import HeardWords

__all__ = ["GraphDirectory"]


@dataclass(frozen=True)
class GraphDirectory:
    """path: of the directory; config: the model's, with what was recorded of the graphs."""

    path: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, directory: str | Path, *, verify: bool = False) -> GraphDirectory:
        """Read and check a graph directory; verify: the sha256 of its files, too, not only their sizes.

        Raises ModelError naming the part that is missing or damaged.
        """
        path = Path(directory)
        try:
            config = json.loads((path / "config.json").read_text(encoding="utf-8"))
            files = dict(config["graphs"]["files"])
        except OSError as error:
            raise ModelError(f"{path} is no graph directory: config.json cannot be read ({error.strerror}).") from None
        except (ValueError, KeyError, TypeError):
            raise ModelError(f"{path / 'config.json'} tells of no graphs; make them with 'mellow export'.") from None
        found = cls(path, config)
        try:
            for name, recorded in files.items():
                found._check(name, recorded, verify=verify)
            language_sizes(config["text_config"])
            found.embedding()
            if config.get("heard"):
                HeardWords.from_dict(config["heard"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(f"{path / 'config.json'} is damaged ({reason}); export the model again.") from None
        return found

    def _check(self, name: str, recorded: Mapping[str, Any], *, verify: bool) -> None:
        file = self.path / name
        if not file.is_file():
            raise ModelError(f"The graphs {self.path} lack {name}; export the model again.")
        if file.stat().st_size != recorded["bytes"] or (verify and sha256(file) != recorded["sha256"]):
            raise ModelError(f"{file} is damaged: it is not what was written; export the model again.")

    def embedding(self) -> dict[str, np.ndarray]:
        """The parts of the input embedding, mapped from the decoder's weights."""
        places: dict[str, dict[str, Any]] = self.config["graphs"]["embedding"]
        file = self.path / "decoder.weights"
        return {
            name: np.memmap(file, place["dtype"], "r", place["offset"], tuple(place["shape"]))
            for name, place in places.items()
        }
