"""Two-part models: what is lost in packing, that a saved model answers as the adapted one, and damaged directories."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import mellow
from mellow.errors import KeyMapError, ModelError
from mellow.model import two_part
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.two_part import BUNDLED, load_two_part, pack, save_two_part, unpack
from mellow.train.initial import adapter_weights

# --- packing --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), spread=st.sampled_from([1e-6, 1e-2, 1.0, 1e4]), columns=st.sampled_from([64, 100]))
def test_matrices_are_within_half_a_step_of_their_row(seed: int, spread: float, columns: int) -> None:
    matrix = (spread * np.random.default_rng(seed).standard_normal((64, columns))).astype(np.float32)
    matrix[3] = 0.0
    packed = pack({"m": matrix})
    assert packed["m"].dtype == np.int8
    step = np.abs(matrix).max(1, keepdims=True) / 127
    assert (np.abs(unpack(packed)["m"] - matrix) <= 0.501 * step).all()


@pytest.mark.parametrize("step", [0.05, 1.0, 3.3e-5])
def test_values_that_are_int8_steps_already_stay_as_they_are(step: float) -> None:
    """CED's weights come in int8; packing them again must not move them. Rows do not all reach 127 steps."""
    steps = np.random.default_rng(0).integers(-127, 128, (64, 64))
    steps[:32] //= 4
    matrix = steps.astype(np.float32) * np.float32(step)
    packed = pack({"m": matrix})
    assert np.array_equal(packed["m"], steps)
    np.testing.assert_allclose(unpack(packed)["m"], matrix, rtol=3e-7)  # float32 has 1.2e-7


def test_a_grid_with_an_outlier_is_no_int8_source() -> None:
    matrix = np.zeros((64, 64), np.float32)
    matrix[0, 0], matrix[1, 1], matrix[2, 2] = 1.0, 2.0, 1000.0
    np.testing.assert_allclose(unpack(pack({"m": matrix}))["m"], matrix, rtol=0.005)


@pytest.mark.parametrize("shape", [(5000,), (8, 8), (64, 1, 16, 16), (3, 2, 4)])
def test_shapes_come_back_and_small_tensors_are_kept_exactly(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = unpack(pack({"x": array}))["x"]
    assert found.shape == shape
    assert found.dtype == np.float32
    if array.size < 4096 or array.ndim < 2:
        assert np.array_equal(found, array)


def test_packing_twice_changes_nothing_more() -> None:
    once = unpack(pack({"m": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}))
    np.testing.assert_allclose(unpack(pack(once))["m"], once["m"], rtol=1e-6)


# --- saving and loading ---------------------------------------------------------------------------------------------


@torch.inference_mode()
def logits(model: MellowForConditionalGeneration, ids: list[int]) -> torch.Tensor:
    embeds = model.embed(torch.tensor([ids]), torch.zeros(0, 1))
    found: torch.Tensor = model.language_model(inputs_embeds=embeds).logits
    return found


def test_a_saved_model_is_the_adapted_one(
    tiny_adapted: MellowForConditionalGeneration, tiny_model: MellowForConditionalGeneration
) -> None:
    """Up to the rounding to int8; with the rounded tensors in the adapted model, up to float noise."""
    ids = list(range(100, 130))
    np.testing.assert_allclose(logits(tiny_adapted, ids), logits(tiny_model, ids), atol=0.15)
    with torch.no_grad():
        rounded = unpack(pack(adapter_weights(tiny_adapted)))
        names = dict(tiny_adapted.named_parameters())
        for name, array in rounded.items():
            inside = name.replace("language_model.", "language_model.base_model.model.", 1)
            for ours in (name, f"{inside}.default.weight"):
                if ours in names:
                    names[ours].copy_(torch.from_numpy(array))
    np.testing.assert_allclose(logits(tiny_adapted, ids), logits(tiny_model, ids), atol=1e-4)
    mel = torch.randn(100, 64, generator=torch.Generator().manual_seed(0)) * 20 - 40
    with torch.inference_mode():
        (rows, words), (expected_rows, expected_words) = (
            model.hear(model.encode([mel])) for model in (tiny_model, tiny_adapted)
        )
    torch.testing.assert_close(rows, expected_rows, rtol=1e-4, atol=1e-4)
    assert words == expected_words


def test_adapters_change_the_answers(tiny_adapted: MellowForConditionalGeneration) -> None:
    ids = list(range(100, 130))
    with tiny_adapted.language_model.disable_adapter():
        plain = logits(tiny_adapted, ids)
    assert (plain - logits(tiny_adapted, ids)).abs().max() > 0.1


def test_a_loaded_model_is_frozen_whole_and_tied(tiny_model: MellowForConditionalGeneration) -> None:
    assert not any(parameter.requires_grad for parameter in tiny_model.parameters())
    assert not any(tensor.is_meta for tensor in [*tiny_model.parameters(), *tiny_model.buffers()])
    assert tiny_model.get_output_embeddings().weight is tiny_model.get_input_embeddings().weight
    assert not tiny_model.training


# --- damaged and unfit directories ----------------------------------------------------------------------------------


@pytest.fixture
def copy(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the model's directory, to be damaged."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


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
        "config.json is damaged",
    ),
    "unknown encoder size": (lambda folder: change_config(folder, encoder_config={"legs": 4}), "legs"),
    "heads that do not fit": (
        lambda folder: change_config(folder, encoder_config={"width": 32, "depth": 2, "heads": 3}),
        "not 32 of 3",
    ),
    "heard words of another kind": (
        lambda folder: change_config(folder, heard={"eyes": 2}),
        "impossible config .*eyes",
    ),
    "no adapter settings": (lambda folder: change_config(folder, adapter={}), "rank and alpha"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "tokenizer damaged": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json is damaged"),
    "no trained part": (
        lambda folder: (folder / "trained.safetensors").unlink(),
        "lacks its trained part, trained.safetensors",
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
        "unfit shapes",
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
        "its size is not that in config.json",
    ),
    "base not a gguf": (
        lambda folder: (folder / "base.gguf").write_bytes(b"\0" * (folder / "base.gguf").stat().st_size),
        "base.gguf",
    ),
    "base of another width": (
        lambda folder: change_config(
            folder, text_config={**json.loads((folder / "config.json").read_text())["text_config"], "hidden_size": 32}
        ),
        "unfit shapes",
    ),
    "base without a hash": (lambda folder: change_config(folder, base={"file": "base.gguf"}), "the sha256 of its base"),
    "unknown rule for choices": (lambda folder: change_config(folder, choice={"luck": 1}), "rule for choices .*luck"),
    "base that is nowhere": (
        lambda folder: change_config(folder, base={"file": "other.gguf"}),
        "other.gguf of .* is missing here and in the bundled model",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_unfit_parts_are_errors_of_one_sentence(copy: Path, damage: str) -> None:
    change, message = DAMAGES[damage]
    change(copy)
    with pytest.raises(ModelError, match=message) as caught:
        mellow.load(str(copy))
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400 + len(str(copy))
    assert text.endswith(".")


def test_a_base_changed_within_its_size_is_found_by_verifying(copy: Path) -> None:
    path = copy / "base.gguf"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    load_two_part(copy)
    with pytest.raises(ModelError, match="its sha256 is not"):
        load_two_part(copy, verify=True)
    with pytest.raises(ModelError, match="its sha256 is not"):
        mellow.load(str(copy))


def test_names_that_do_not_match_are_a_key_map_error(copy: Path) -> None:
    change_trained(copy, lambda tensors: tensors.pop("encoder.head.bias"))
    with pytest.raises(KeyMapError):
        load_two_part(copy)


def test_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'giant'; use mini"):
        mellow.load("giant")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        mellow.load(str(tmp_path))


def test_the_base_is_found_in_the_bundled_model(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (copy / "base.gguf").rename(bundled / "base.gguf")
    monkeypatch.setattr(two_part, "BUNDLED", bundled)
    assert not load_two_part(copy).training


# --- killed while saving --------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


def save(folder: Path, value: float) -> None:
    config = MellowForConditionalGeneration.config_class(frames_per_row=int(value), text_config=TEXT)
    save_two_part(
        folder, config=config, trained={"mapper.x": np.full(3, value, np.float32)}, tokenizer=BUNDLED / "tokenizer.json"
    )


TEXT = {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2}


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

    monkeypatch.setattr(two_part, "_sync", sync)
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
