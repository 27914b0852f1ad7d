"""Recipes: every mistake is one sentence that names the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mellow.errors import RecipeError
from mellow.train.recipe import read_recipe

GOOD: dict[str, Any] = {"data": {"examples": "train.jsonl"}, "run": {"output": "out", "cache": "cache"}}


def write(folder: Path, content: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    assert recipe.data.examples == "train.jsonl"
    assert recipe.model.base == "bundled"
    assert recipe.run.steps is None


def test_all_recipes_of_the_repository_can_be_read(root: Path) -> None:
    paths = sorted((root / "recipes" / "mini").glob("*.yaml"))
    assert paths
    for path in paths:
        read_recipe(path)


def test_a_recipe_does_not_change(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    with pytest.raises(ValidationError, match="frozen"):
        recipe.run.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "settings", "where"),
    [
        ("data", {"examples": "x", "epoch": 3}, "data.epoch"),
        ("data", {}, "data.examples"),
        ("data", {"examples": "x", "epochs": 0}, "data.epochs"),
        ("data", {"examples": "x", "epochs": "many"}, "data.epochs"),
        ("data", {"examples": "x", "word_dropout": 1.5}, "data.word_dropout"),
        ("data", {"examples": "x", "tokens_per_row": 3}, "data.tokens_per_row"),
        ("model", {"adapter_rank": 0}, "model.adapter_rank"),
        ("optimizer", {"learning_rate": -1}, "optimizer.learning_rate"),
        ("optimizer", {"schedule": "zigzag"}, "optimizer.schedule"),
        ("run", {"output": "x"}, "run.cache"),
        ("run", {"output": "x", "cache": "y", "max_nonfinite": 0}, "run.max_nonfinite"),
        ("run", None, "run"),
        ("colour", {}, "colour"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, section: str, settings: Any, where: str) -> None:
    path = write(tmp_path, {**GOOD, section: settings})
    with pytest.raises(RecipeError, match=rf"recipe\.yaml is wrong at {where}: .+\.$") as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "wrong at its top level"),
        (b"- a\n- b", "wrong at its top level"),
        (b"data: [", "is not YAML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no recipe"):
        read_recipe(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
