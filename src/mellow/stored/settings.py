"""config.json as a dict: what a model directory says about itself, for whoever does not have transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellow.errors import ModelError

__all__ = ["ENCODERS", "LAYOUTS", "check_settings", "read_settings"]

ENCODERS = ("ced", "htsat", "cnn14")
LAYOUTS = ("compact", "published")


def read_settings(directory: Path) -> dict[str, Any]:
    """The config.json of a model directory; ModelError where it is missing or damaged."""
    path = directory / "config.json"
    if not path.is_file():
        raise ModelError(f"{directory} is no model directory: config.json is missing.")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error}).") from None
    if not isinstance(settings, dict):
        raise ModelError(f"{path} is damaged (it holds no object).")
    return settings


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ModelError for an encoder or a layout that there is not."""
    for name, known in (("encoder", ENCODERS), ("layout", LAYOUTS)):
        if settings.get(name, known[0]) not in known:
            raise ModelError(f"Unknown {name} {settings[name]!r}; known are {', '.join(known)}.")
