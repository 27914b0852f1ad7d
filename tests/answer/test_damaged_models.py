"""Every damaged or unfit part of an adapter checkpoint is one sentence, with either engine, and nothing is cached."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mellow
from mellow.checkpoints import base
from mellow.errors import KeyMapError, ModelError


@pytest.fixture
def copy(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the model's directory, to be damaged, and an empty cache."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    change_config(folder, weights={})  # so that what is wrong with a tensor is told, not that the file is another
    return folder


def config_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_trained(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    path = folder / "trained.safetensors"
    tensors = dict(load_file(str(path)))
    change(tensors)
    save_file(tensors, str(path))


QUERY = "language_model.model.layers.0.self_attn.q_proj"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "config cut": (lambda folder: (folder / "config.json").write_text("{"), "config.json is damaged"),
    "config not an object": (lambda folder: (folder / "config.json").write_text("[]"), "config.json is damaged"),
    "config in another encoding": (
        lambda folder: (folder / "config.json").write_bytes(b"\xff"),
        "config.json is damaged",
    ),
    "unknown encoder": (lambda folder: change_config(folder, encoder="ears"), "Unknown encoder 'ears'"),
    "unknown language model": (
        lambda folder: change_config(folder, text_config={"model_type": "parrot"}),
        "unknown language model 'parrot'; known are llama, gpt2",
    ),
    "an unknown key": (
        lambda folder: change_config(folder, auto_map={"AutoModel": "x--y.Z"}),
        "unknown keys: 'auto_map'; remove them",
    ),
    "unknown encoder size": (lambda folder: change_config(folder, encoder_config={"legs": 4}), "legs"),
    "heads that do not fit": (
        lambda folder: change_config(folder, encoder_config={"width": 32, "depth": 2, "heads": 3}),
        "not 32 of 3",
    ),
    "tags of another kind": (
        lambda folder: change_config(folder, tags={"eyes": 2}),
        "audio tags has unknown keys: eyes",
    ),
    "names of tags too few": (
        lambda folder: change_config(folder, tags={**config_of(folder)["tags"], "names": [[1]]}),
        "differ in length",
    ),
    "a language model that is no object": (
        lambda folder: change_config(folder, text_config="x"),
        "config.json is damaged",
    ),
    "a weight of the prior that is no number": (
        lambda folder: change_config(folder, choice={"prior_weight": float("nan")}),
        "impossible rule for choices",
    ),
    "a weight of the prior that is a text": (
        lambda folder: change_config(folder, choice={"prior_weight": "x"}),
        "impossible rule for choices",
    ),
    "frames per row that are no number": (lambda folder: change_config(folder, frames_per_row="x"), "frames_per_row"),
    "no frames per row": (lambda folder: change_config(folder, frames_per_row=0), "frames_per_row"),
    "a base of an impossible size": (
        lambda folder: change_config(folder, base={**config_of(folder)["base"], "bytes": "x"}),
        "its size is not",
    ),
    "a base of an impossible sum": (
        lambda folder: change_config(folder, base={**config_of(folder)["base"], "sha256": 5}),
        "its sha256 is not 5",
    ),
    "a trained part of another model": (
        lambda folder: change_config(folder, weights={"bytes": 5, "sha256": "ab"}),
        "is not the file recorded in config.json",
    ),
    "no adapter settings": (lambda folder: change_config(folder, adapter={}), "rank and alpha"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
    "tokenizer damaged": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json is damaged"),
    "no trained part": (
        lambda folder: (folder / "trained.safetensors").unlink(),
        "has no trained.safetensors",
    ),
    "trained part cut": (
        lambda folder: os.truncate(folder / "trained.safetensors", 5000),
        "trained.safetensors is damaged",
    ),
    "trained part empty": (
        lambda folder: (folder / "trained.safetensors").write_bytes(b""),
        "trained.safetensors is damaged",
    ),
    "a trained tensor is missing": (
        lambda folder: change_trained(folder, lambda t: t.pop("mapper.norm.bias")),
        r"1 missing \['mapper.norm.bias'\]",
    ),
    "a trained tensor is unknown": (
        lambda folder: change_trained(folder, lambda t: t.update({"mapper.x": np.zeros(3, np.float32)})),
        r"1 unknown \['mapper.x'\]",
    ),
    "a trained tensor has another shape": (
        lambda folder: change_trained(folder, lambda t: t.update({"mapper.norm.bias": np.zeros(3, np.float32)})),
        "wrong shapes",
    ),
    "a scale is missing": (
        lambda folder: change_trained(folder, lambda t: t.pop("mapper.linear1.weight.scale")),
        "trained.safetensors is damaged",
    ),
    "a scale has another length": (
        lambda folder: change_trained(folder, lambda t: t.update({"mapper.linear1.weight.scale": np.ones(3, "f4")})),
        "trained.safetensors is damaged",
    ),
    "an adapter has no second half": (
        lambda folder: change_trained(folder, lambda t: t.pop(f"{QUERY}.lora_B")),
        "adapter",
    ),
    "an adapter has no first half": (
        lambda folder: change_trained(folder, lambda t: t.pop(f"{QUERY}.lora_A")),
        "adapter",
    ),
    "an adapter of another width": (
        lambda folder: change_trained(folder, lambda t: t.update({f"{QUERY}.lora_A": np.zeros((4, 65), "f4")})),
        "adapter",
    ),
    "an adapter for no matrix": (
        lambda folder: change_trained(
            folder,
            lambda t: t.update(
                {"language_model.x.lora_A": np.ones((4, 4), "f4"), "language_model.x.lora_B": np.ones((4, 4), "f4")}
            ),
        ),
        "adapter",
    ),
    "a tensor beside the adapters": (
        lambda folder: change_trained(folder, lambda t: t.update({f"{QUERY}.bias": np.zeros(64, np.float32)})),
        "adapter",
    ),
    "base of another size": (
        lambda folder: os.truncate(folder / "base.gguf", 99),
        "its size is not the one in config.json",
    ),
    "base not a gguf": (
        lambda folder: (folder / "base.gguf").write_bytes(b"\0" * (folder / "base.gguf").stat().st_size),
        "base.gguf",
    ),
    "base of another width": (
        lambda folder: change_config(
            folder, text_config={**json.loads((folder / "config.json").read_text())["text_config"], "hidden_size": 32}
        ),
        "wrong shapes",
    ),
    "base without a hash": (lambda folder: change_config(folder, base={"file": "base.gguf"}), "no sha256 of the base"),
    "unknown rule for choices": (lambda folder: change_config(folder, choice={"luck": 1}), "rule for choices .*luck"),
    "base that is nowhere": (
        lambda folder: change_config(folder, base={"file": "other.gguf"}),
        "other.gguf of .* is missing there and in the bundled model",
    ),
}


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_unfit_parts_are_errors_of_one_sentence(
    copy: Path, damage: str, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "torch":
        request.getfixturevalue("with_torch")
    change, message = DAMAGES[damage]
    change(copy)
    with pytest.raises(ModelError, match=message) as caught:
        mellow.load(str(copy), engine=engine)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400 + len(str(copy))
    assert text.endswith(".")
    assert not [path for path in (copy.parent / "cache").rglob("*") if path.is_dir() and path.name != "models"]


@pytest.fixture(params=["onnx", "torch"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "torch":
        request.getfixturevalue("with_torch")
    return str(request.param)


def test_a_base_changed_within_its_size_is_found(copy: Path, engine: str) -> None:
    path = copy / "base.gguf"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="its sha256 is not"):
        mellow.load(copy, engine=engine)


def test_weights_of_a_full_checkpoint_changed_within_their_size_are_found(
    published_dir: Path, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever they are read: by torch each time, for ONNX Runtime when graphs are prepared."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(published_dir, tmp_path / "published"))
    mellow.load(folder, engine=engine)
    path = folder / "model.safetensors"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelError, match="is damaged: its content has changed"):
        mellow.load(folder, engine=engine, dtype="auto" if engine == "torch" else "int8")


def test_names_that_do_not_match_are_a_key_map_error(copy: Path, engine: str) -> None:
    change_trained(copy, lambda tensors: tensors.pop("encoder.head.bias"))
    with pytest.raises(KeyMapError):
        mellow.load(copy, engine=engine)


def test_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'giant'; use mini"):
        mellow.load("giant")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        mellow.load(str(tmp_path))


def test_the_base_is_found_in_the_bundled_model(
    copy: Path, engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (copy / "base.gguf").rename(bundled / "base.gguf")
    monkeypatch.setattr(base, "BUNDLED", bundled)
    assert mellow.load(copy, engine=engine).name == str(copy)
