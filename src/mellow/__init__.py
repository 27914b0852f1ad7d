"""Mellow: a small audio language model that listens to one or two clips, reads a question and answers in text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import mellow.offline  # noqa: F401  # first of all: nothing that is imported later reports home
from mellow.errors import MellowError

if TYPE_CHECKING:
    from mellow.answer.choose import ChoiceRule
    from mellow.answer.decode import DecodingOptions
    from mellow.answer.encoded_audio import EncodedAudio
    from mellow.answer.facade import Mellow
    from mellow.answer.load import load
    from mellow.processor import ClipPolicy
    from mellow.types import Answer, Clip, Scores
    from mellow.wrapper import MellowWrapper

__all__ = [
    "Answer",
    "ChoiceRule",
    "Clip",
    "ClipPolicy",
    "DecodingOptions",
    "EncodedAudio",
    "Mellow",
    "MellowError",
    "MellowWrapper",
    "Scores",
    "load",
]
__version__ = "0.1.0"

_HOMES = {  # of the names that are loaded when they are used: `import mellow` stays light
    "Answer": "mellow.types",
    "ChoiceRule": "mellow.answer.choose",
    "Clip": "mellow.types",
    "ClipPolicy": "mellow.processor",
    "DecodingOptions": "mellow.answer.decode",
    "EncodedAudio": "mellow.answer.encoded_audio",
    "Mellow": "mellow.answer.facade",
    "MellowWrapper": "mellow.wrapper",
    "Scores": "mellow.types",
    "load": "mellow.answer.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mellow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Only the public names, those that are loaded late included."""
    return sorted([*__all__, "__version__"])
