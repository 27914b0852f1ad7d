"""One line of JSONL, of whatever file: what is no JSON, or no object, is refused in one sentence."""

from __future__ import annotations

import json
from typing import Any

from mellow.errors import DataError

__all__ = ["json_object", "json_value"]


def json_value(line: str, *, where: str) -> Any:
    """The value of a line; DataError naming the place where it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}); correct or remove the line.") from None


def json_object(line: str, *, where: str, needs: str) -> dict[str, Any]:
    """The object of a line; DataError naming the place for anything else. needs: what such an object has, for it."""
    row = json_value(line, where=where)
    if not isinstance(row, dict):
        raise DataError(f"{where}: not an object; {needs}.")
    return row
