"""Saving an adapter checkpoint: whoever is killed meanwhile leaves the old one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mellow.checkpoints import adapter
from mellow.checkpoints.adapter import write_adapter
from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig


class Killed(BaseException):
    """Stands for the end of the process."""


def save(folder: Path, value: float) -> None:
    trained = {"mapper.x": np.full(3, value, np.float32)}
    config = replace(ModelConfig.read(BUNDLED), frames_per_row=int(value))
    write_adapter(folder, config=config, trained=trained, tokenizer=BUNDLED / "tokenizer.json")


def parts(folder: Path) -> tuple[int, list[float], int]:
    """What a directory holds: of its config, of its trained part, and the tokenizer's length."""
    config = json.loads((folder / "config.json").read_text())
    trained = load_file(str(folder / "trained.safetensors"))["mapper.x"].tolist()
    return config["frames_per_row"], trained, (folder / "tokenizer.json").stat().st_size


@pytest.mark.parametrize("file", ["trained.safetensors", "tokenizer.json", "config.json"])
def test_killed_while_writing_a_part_the_old_model_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The process dies half-way through writing one of the parts."""
    save(tmp_path, 1.0)
    before = parts(tmp_path)

    def sync(path: Path) -> None:
        if file in path.name:
            os.truncate(path, path.stat().st_size // 2)
            raise Killed

    monkeypatch.setattr(adapter, "sync", sync)
    with pytest.raises(Killed):
        save(tmp_path, 2.0)
    assert parts(tmp_path) == before


def test_saving_over_a_killed_one_works(tmp_path: Path) -> None:
    (tmp_path / "trained.safetensors.part").write_bytes(b"half")
    save(tmp_path, 2.0)
    assert parts(tmp_path)[:2] == (2, [2.0, 2.0, 2.0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "tokenizer.json", "trained.safetensors"]


def test_saving_leaves_the_base_alone(tmp_path: Path) -> None:
    (tmp_path / "base.gguf").write_bytes(b"base")
    save(tmp_path, 1.0)
    assert (tmp_path / "base.gguf").read_bytes() == b"base"
