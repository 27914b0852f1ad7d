"""Recipes as YAML files: read, checked against a pydantic model, every fault as one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mellow.errors import RecipeError

__all__ = ["Strict", "read_yaml"]


class Strict(BaseModel):
    """A section of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Strict)


def read_yaml(path: str | Path, model: type[Model]) -> Model:
    """Read a recipe; RecipeError names the file and the first bad key."""
    try:
        return model.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise RecipeError(f"There is no recipe {path}.") from None
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise RecipeError(f"The recipe {path} is not UTF-8 text.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"The recipe {path} is not YAML ({(str(error).splitlines() or [''])[0]}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its top level"
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise RecipeError(f"The recipe {path} is wrong at {where}: {message}.") from None
