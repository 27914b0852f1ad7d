"""What a composed data set remembers of how it was made: `compose.json` beside its scenes."""

from __future__ import annotations

import json
from pathlib import Path

from mellow.data.scenes.labels import Labelling, check_keys
from mellow.errors import DataError
from mellow.files import replace_file

__all__ = ["COMPOSITION", "read_held_out", "write_composition"]

COMPOSITION = "compose.json"


def read_held_out(folder: Path) -> frozenset[str]:
    """The sounds that training on the data set in `folder` must neither hear nor name; none where it was not composed.

    Raises DataError for a damaged `compose.json`.
    """
    path = folder / COMPOSITION
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))["held_out"]
        held_out = frozenset(str(key) for key in keys)
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); compose the data set again.") from None
    check_keys(held_out, where=str(path))
    return held_out


def write_composition(folder: Path, labelling: Labelling, *, seed: int) -> None:
    """Write what is held out, the duplicates and the seed; DataError where the scenes there hold out other sounds."""
    if (folder / COMPOSITION).exists() and read_held_out(folder) != labelling.held_out:
        raise DataError(f"{folder} holds scenes composed with other held-out sounds; name an empty folder or those.")
    content = {
        "seed": seed,
        "held_out": sorted(labelling.held_out),
        "duplicates": dict(sorted(labelling.duplicates.items())),
    }
    with replace_file(folder / COMPOSITION) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
