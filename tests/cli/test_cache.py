"""`mellow cache`: lists names and sizes, removes some or all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two models."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path))
    for name, size, used in (("v0", 2_000_000, 1e9), ("mini-int8-0123", 500_000, 1.1e9)):
        path = tmp_path / "models" / name
        path.mkdir(parents=True)
        (path / "weights").write_bytes(bytes(size))
        os.utime(path, (used, used))
    return tmp_path / "models"


def test_list(run: Run, folder: Path) -> None:
    lines = run("cache", "list").stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["mini-int8-0123", "0.5", "MB", "2004-11-09"],
        ["v0", "2.0", "MB", "2001-09-09"],
    ]
    assert lines[2] == f"2 models, 2.5 MB, in {folder}"


def test_clear_one(run: Run, folder: Path) -> None:
    assert run("cache", "clear", "v0").stdout == "1 model removed, 2.0 MB.\n"
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["mini-int8-0123"]


def test_clear_all(run: Run, folder: Path) -> None:
    assert run("cache", "clear").stdout == "2 models removed, 2.5 MB.\n"
    assert [path for path in folder.iterdir() if path.is_dir()] == []
    assert run("cache", "list").stdout == f"0 models, 0.0 MB, in {folder}\n"
    assert run("cache", "clear").stdout == "0 models removed, 0.0 MB.\n"


def test_an_unknown_name(refusal: Refusal) -> None:
    assert "no model 'v7'; 'mellow cache list'" in refusal("cache", "clear", "v7")
