"""The recorded releases: derived from pyproject.toml, and usable on any system."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_constraints", root / "scripts" / "update_constraints.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pyproject(root: Path) -> str:
    return (root / "pyproject.toml").read_text(encoding="utf-8")


def recorded(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    return dict(line.split("==") for line in lines[1:])


def test_lower_bounds(script: ModuleType) -> None:
    text = """[project]
    name = "mellow-audio"
    dependencies = ["numpy>=1.26", "typer>=0.16,<0.29"]
    [project.optional-dependencies]
    train = ["torch>=2.10,<2.14", "scikit-learn>=1.5"]
    dev = ["mellow-audio[train]", "Types_X[all]>=6.0.12; python_version<'3.14'"]
    """
    assert list(script.lower_bounds(text)) == ["Types_X==6.0.12", "numpy==1.26", "scikit-learn==1.5", "typer==0.16"]
    with pytest.raises(ValueError, match="'rich<9'"):
        list(script.lower_bounds(text.replace("numpy>=1.26", "rich<9")))


def test_pins_are_usable_on_any_system(script: ModuleType) -> None:
    found = [("torch", "2.13.0+cpu"), ("PyYAML", "6.0"), ("mellow-audio", "0.1"), ("typing_extensions", "4")]
    found += [("nvidia-cublas-cu12", "12.8"), ("cuda-bindings", "13"), ("triton", "3.7")]
    assert script.pins(found) == ["pyyaml==6.0", "torch==2.13.0", "typing-extensions==4"]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_every_requirement_is_recorded(name: str, root: Path, pyproject: str) -> None:
    project = tomllib.loads(pyproject)["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    wanted = {re.split(r"[<>=\[]", line)[0] for line in lines} - {project["name"]}
    assert wanted <= set(recorded(root / name))
    assert not [version for version in recorded(root / name).values() if "+" in version]


def test_lowest_are_the_lower_bounds(script: ModuleType, root: Path, pyproject: str) -> None:
    """`scripts/update_constraints.py` was run after the last change of pyproject.toml."""
    lowest = recorded(root / "constraints-lowest.txt")
    for line in script.lower_bounds(pyproject):
        name, bound = line.split("==")
        assert re.fullmatch(rf"{re.escape(bound)}(\.0)*", lowest[name]), line
