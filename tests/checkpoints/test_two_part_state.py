"""The tensors of a two-part model: one at a time, merged, and the same that torch gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mellow.checkpoints.adapter import AdapterState
from mellow.checkpoints.full import check_shapes
from mellow.checkpoints.int8 import pack, unpack
from mellow.checkpoints.llama import LlamaFile
from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig
from mellow.errors import KeyMapError, ModelError

QUERY = "language_model.model.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module")
def state(tiny_model_dir: Path, tiny_settings: dict[str, Any]) -> AdapterState:
    return AdapterState.open(tiny_model_dir, ModelConfig.from_dict(tiny_settings), verify=True)


def test_a_matrix_is_base_and_adapter(state: AdapterState, tiny_gguf: Path, tiny_trained: Any) -> None:
    rounded = unpack(pack(tiny_trained))
    added = 2.0 * rounded[f"{QUERY}.lora_B"] @ rounded[f"{QUERY}.lora_A"]  # alpha 8 over rank 4
    base = LlamaFile(tiny_gguf)["model.layers.1.self_attn.q_proj.weight"]
    np.testing.assert_allclose(state[f"{QUERY}.weight"], base + added, rtol=1e-6, atol=1e-6)
    assert np.abs(added).max() > 0.1
    np.testing.assert_array_equal(state[f"{QUERY}.weight"], state[f"{QUERY}.weight"])  # it is not merged twice


def test_it_is_a_mapping_of_all_tensors_and_no_others(state: AdapterState, tiny_settings: dict[str, Any]) -> None:
    assert {name: state[name].shape for name in state} == ModelConfig.from_dict(tiny_settings).shapes()
    assert all(array.dtype == np.float32 for array in state.values())
    assert len(state) == len(list(state))
    assert f"{QUERY}.lora_A" not in state
    with pytest.raises(KeyError):
        state["language_model.lm_head.weight"]


def test_it_is_what_torch_gets(state: AdapterState, tiny_model: Any) -> None:
    theirs = tiny_model.state_dict()
    for name in state:
        np.testing.assert_array_equal(state[name], theirs[name].numpy(), err_msg=name)


def test_the_bundled_model_is_whole(bundled_base: Path) -> None:
    if not (BUNDLED / "trained.safetensors").is_file():
        pytest.skip("the bundled trained.safetensors is not in this checkout")
    AdapterState.open(BUNDLED, ModelConfig.read(BUNDLED), verify=True)


def test_names_and_shapes_that_differ_are_named(tiny_settings: dict[str, Any]) -> None:
    config = ModelConfig.from_dict(tiny_settings)
    found = config.shapes()
    check_shapes(found, config, what="The model x")
    with pytest.raises(ModelError, match=r"wrong shapes \(mapper.norm.bias has \(3,\), not \(128,\)\)"):
        check_shapes(found | {"mapper.norm.bias": (3,)}, config, what="The model x")
    with pytest.raises(KeyMapError, match=r"0 missing \[\], 1 unknown \['x'\]"):
        check_shapes(found | {"x": (3,)}, config, what="The model x")
