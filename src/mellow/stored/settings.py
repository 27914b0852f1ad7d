"""config.json as a dict: what a model directory says about itself, for whoever does not have transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellow.errors import ModelError

__all__ = ["ELSEWHERE", "ENCODERS", "LAYOUTS", "check_settings", "read_settings"]

ENCODERS = ("ced", "htsat", "cnn14")
LAYOUTS = ("compact", "published")
ELSEWHERE = ("base", "adapter", "weights")  # what is said of the files that a model is made of


def read_settings(directory: Path, name: str = "config.json") -> dict[str, Any]:
    """The config.json (or another such file) of a model directory; ModelError where it is missing or damaged."""
    path = directory / name
    if not path.is_file():
        raise ModelError(f"The directory {directory} does not hold a model: {name} is missing.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"The file {path} is damaged ({error}).") from None
    if not isinstance(settings, dict):
        raise ModelError(f"The file {path} is damaged (it holds no object).")
    return settings


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ModelError for an encoder or a layout that there is not, and impossible frames per row."""
    pool = settings.get("frames_per_row", 1)
    if not isinstance(pool, int) or pool < 1:
        raise ModelError(f"The config.json is damaged: frames_per_row is {pool!r}, but it is a number of at least 1.")
    for name, known in (("encoder", ENCODERS), ("layout", LAYOUTS)):
        if settings.get(name, known[0]) not in known:
            raise ModelError(f"Unknown {name} {settings[name]!r}; known are {', '.join(known)}.")
