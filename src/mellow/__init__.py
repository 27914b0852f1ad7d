"""Mellow: a small audio language model that listens to one or two clips, reads a question and answers in text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mellow.offline  # noqa: F401  # first of all: nothing that is imported later reports home
from mellow.errors import MellowError

if TYPE_CHECKING:
    from mellow.answer.facade import Mellow
    from mellow.answer.load import load
    from mellow.types import Answer, Clip
    from mellow.wrapper import MellowWrapper

__all__ = ["Answer", "Clip", "Mellow", "MellowError", "MellowWrapper", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the parts that bring others only when they are used: `import mellow` stays light."""
    if name in ("Answer", "Clip"):
        from mellow import types

        return getattr(types, name)
    if name == "load":
        from mellow.answer.load import load

        return load
    if name == "Mellow":
        from mellow.answer.facade import Mellow

        return Mellow
    if name == "MellowWrapper":
        from mellow.wrapper import MellowWrapper

        return MellowWrapper
    raise AttributeError(f"module 'mellow' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Only the public names, those that are loaded late included."""
    return sorted([*__all__, "__version__"])
