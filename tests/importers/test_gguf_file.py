"""Writing GGUF files: what is written is read back, exactly for norms and within the blocks' steps for matrices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from mellow.checkpoints.llama import EMBEDDING, LlamaFile, llama_names
from mellow.errors import KeyMapError, ModelError
from mellow.importers.gguf_file import open_gguf, requantise_embedding, write_llama_gguf
from mellow.llama import LlamaSpec
from mellow.model.checkpoint import read_llama_gguf

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100_000.0,
    "tie_word_embeddings": True,
}
VOCABULARY = 160
SHAPES = {
    "embed_tokens": (VOCABULARY, 64),
    "q_proj": (64, 64),
    "k_proj": (32, 64),
    "v_proj": (32, 64),
    "o_proj": (64, 64),
    "gate_proj": (96, 64),
    "up_proj": (96, 64),
    "down_proj": (64, 96),
}
STEPS = {"embed_tokens": 31, "": 15}  # a block of 32 numbers has 5 or 4 bits between its smallest and its largest
Tensors = dict[str, np.ndarray]


@pytest.fixture
def tensors() -> Tensors:
    rng = np.random.default_rng(0)
    made = {}
    for name in llama_names(2).values():
        shape = SHAPES.get(name.split(".")[-2], (64,))
        made[name] = rng.standard_normal(shape).astype(np.float32)
    return made


def largest_error(name: str, array: np.ndarray) -> np.ndarray:
    """Half a step of each block of 32 numbers, and what float16 scales lose, for every number of a matrix."""
    steps = STEPS.get(name.split(".")[-2], STEPS[""])
    blocks = array.reshape(len(array), -1, 32)
    spread = blocks.max(-1, keepdims=True) - blocks.min(-1, keepdims=True)
    return np.broadcast_to(0.5 * spread / steps + 0.01, blocks.shape).reshape(array.shape)


def test_weights_are_read_back(tensors: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    write_llama_gguf(path, config=CONFIG, tensors=tensors)
    state = read_llama_gguf(path)
    assert set(state) == {*tensors, "lm_head.weight"}
    for name, array in tensors.items():
        found = state[name].numpy()
        if array.ndim == 1:
            assert np.array_equal(found, array), name
        else:
            assert (np.abs(found - array) <= largest_error(name, array)).all(), name
    assert list(tmp_path.iterdir()) == [path]


def test_kinds_of_tensors(tensors: Tensors, tmp_path: Path) -> None:
    write_llama_gguf(tmp_path / "base.gguf", config=CONFIG, tensors=tensors)
    kinds = {tensor.name: tensor.tensor_type.name for tensor in open_gguf(tmp_path / "base.gguf").tensors}
    assert kinds.pop(EMBEDDING) == "Q5_1"
    assert {kind for name, kind in kinds.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in kinds.items() if "norm" not in name} == {"Q4_1"}


def test_settings_are_read_back(tensors: Tensors, tmp_path: Path) -> None:
    write_llama_gguf(tmp_path / "base.gguf", config=CONFIG, tensors=tensors)
    found = LlamaFile(tmp_path / "base.gguf").spec
    wanted = replace(LlamaSpec.from_config({**CONFIG, "vocab_size": VOCABULARY}), bos=found.bos, eos=found.eos)
    assert found == wanted  # but for the tokens, which stand in tokenizer.json
    assert (found.vocabulary, found.head_width, found.tied) == (VOCABULARY, 16, True)


def test_rotary_settings_of_newer_configs(tensors: Tensors, tmp_path: Path) -> None:
    newer = {name: value for name, value in CONFIG.items() if name != "rope_theta"}
    newer["rope_parameters"] = {"rope_type": "default", "rope_theta": 5_000.0}
    write_llama_gguf(tmp_path / "base.gguf", config=newer, tensors=tensors)
    assert LlamaFile(tmp_path / "base.gguf").spec.theta == 5_000.0


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt2"},
        {"tie_word_embeddings": False},
        {"head_dim": 32},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        {"num_hidden_layers": None},
    ],
)
def test_other_architectures_are_refused(change: dict[str, Any], tensors: Tensors, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        write_llama_gguf(tmp_path / "base.gguf", config=CONFIG | change, tensors=tensors)
    assert not list(tmp_path.iterdir())


def test_names_are_total(tensors: Tensors, tmp_path: Path) -> None:
    surplus = {**tensors, "model.layers.0.self_attn.q_proj.bias": np.zeros(64, np.float32)}
    missing = {name: array for name, array in tensors.items() if name != "model.norm.weight"}
    for wrong in (surplus, missing):
        with pytest.raises(KeyMapError):
            write_llama_gguf(tmp_path / "base.gguf", config=CONFIG, tensors=wrong)


def test_rows_that_fill_no_blocks_are_refused(tensors: Tensors, tmp_path: Path) -> None:
    tensors["model.layers.0.mlp.down_proj.weight"] = np.zeros((64, 80), np.float32)
    with pytest.raises(ModelError, match="down_proj"):
        write_llama_gguf(tmp_path / "base.gguf", config=CONFIG, tensors=tensors)
    assert not (tmp_path / "base.gguf").exists()


@pytest.mark.parametrize("kind", ["Q8_0", "F16", "Q4_1"])
def test_requantised_embedding(kind: str, tensors: Tensors, tmp_path: Path) -> None:
    source, target = tmp_path / "source.gguf", tmp_path / "target.gguf"
    write_llama_gguf(source, config=CONFIG, tensors=tensors)
    requantise_embedding(source, target, kind=kind)
    before, after = read_llama_gguf(source), read_llama_gguf(target)
    assert LlamaFile(target).spec == LlamaFile(source).spec
    for name in tensors:
        same = np.array_equal(before[name].numpy(), after[name].numpy())
        assert same == (name != "model.embed_tokens.weight"), name
    assert np.abs((before["model.embed_tokens.weight"] - after["model.embed_tokens.weight"]).numpy()).max() < 0.3


def test_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Q3_X"):
        requantise_embedding(tmp_path / "a.gguf", tmp_path / "b.gguf", kind="Q3_X")


def test_transformers_reads_the_rotary_order_as_we_do(tensors: Tensors, tmp_path: Path) -> None:
    """The file's query rows are llama.cpp's: head by head, the two halves of the rotary pairs side by side."""
    write_llama_gguf(tmp_path / "base.gguf", config=CONFIG, tensors=tensors)
    tensor = next(t for t in open_gguf(tmp_path / "base.gguf").tensors if t.name == "blk.0.attn_q.weight")
    stored = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    query = tensors["model.layers.0.self_attn.q_proj.weight"]
    error = largest_error("q_proj.weight", query).max()
    assert np.abs(stored[0] - query[0]).max() <= error
    assert np.abs(stored[1] - query[8]).max() <= error  # of 16 rows per head, row 8 begins the second half
    assert np.abs(stored[2] - query[1]).max() <= error


def test_tiny_gguf_of_the_other_tests_is_untouched_by_a_copy(tiny_gguf: Path, tmp_path: Path) -> None:
    requantise_embedding(tiny_gguf, tmp_path / "copy.gguf", kind="Q8_0")
    assert LlamaFile(tmp_path / "copy.gguf").spec == LlamaFile(tiny_gguf).spec
