"""Directories that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mellow.errors import ModelError
from mellow.files import UnwritableError, new_directory


def test_a_directory_appears_at_the_end(tmp_path: Path) -> None:
    with new_directory(tmp_path / "model") as folder:
        (folder / "weights").write_bytes(b"1")
        assert not (tmp_path / "model").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "weights"]


def test_an_empty_directory_is_filled_and_another_left_alone(tmp_path: Path) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "mine").touch()
    with new_directory(tmp_path / "empty") as folder:
        (folder / "weights").touch()
    assert (tmp_path / "empty" / "weights").is_file()
    with pytest.raises(ModelError, match="exists already; give a new directory"), new_directory(tmp_path / "full"):
        pass
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_what_a_process_of_the_same_number_left_is_no_hindrance(tmp_path: Path) -> None:
    left = tmp_path / f".model.{os.getpid()}.part"
    left.mkdir()
    (left / "old").touch()
    with new_directory(tmp_path / "model") as folder:
        (folder / "weights").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["weights"]


def test_what_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError, match="cannot be written"), new_directory(tmp_path / "file" / "model"):
        pass
    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / "model"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
