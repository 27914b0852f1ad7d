"""A model's config: an allow-list, checked once, files apart from architecture; and the sizes of Llamas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.llama import SMOLLM2_135M, LlamaSpec

LLAMA = SMOLLM2_135M.to_config()


def test_the_bundled_config_is_read_and_written_without_loss() -> None:
    settings = json.loads((BUNDLED / "config.json").read_text(encoding="utf-8"))
    assert ModelConfig.read(BUNDLED).to_dict() == settings


def test_files_are_apart_from_the_architecture() -> None:
    config = ModelConfig.read(BUNDLED)
    assert set(config.files) == {"base", "adapter", "weights"}
    moved = config.with_files(graphs={"precision": "int8"})
    assert set(moved.files) == {"graphs"}
    assert {k: v for k, v in moved.to_dict().items() if k != "graphs"} == {
        k: v for k, v in config.to_dict().items() if k not in ("base", "adapter", "weights")
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"auto_map": {"AutoConfig": "evil.py"}}, "unknown keys: 'auto_map'"),
        ({"encoder": "whisper"}, "Unknown encoder 'whisper'"),
        ({"encoder": ["ced"]}, "Unknown encoder"),
        ({"encoder_config": {"width": 7}}, "multiple of its heads"),
        ({"encoder_config": 3}, "encoder_config is 3"),
        ({"layout": "sideways"}, "Unknown layout 'sideways'"),
        ({"frames_per_row": 0}, "frames_per_row is 0"),
        ({"frames_per_row": True}, "frames_per_row is True"),
        ({"frames_per_row": "2"}, "frames_per_row is '2'"),
        ({"text_config": {"model_type": "evil"}}, "unknown language model 'evil'"),
        ({"text_config": {**LLAMA, "rope_parameters": {"rope_type": "yarn"}}}, "plain rotary"),
        ({"text_config": {**LLAMA, "num_hidden_layers": -1}}, "at least 1"),
        ({"text_config": {"model_type": "gpt2", "n_embd": {"$ref": "x"}}}, "its sizes must be numbers"),
        ({"events": {"width": 4, "sounds": 2}}, "2 sounds, but names for 0"),
        ({"events": {"width": 4}}, "invalid event head"),
    ],
)
def test_what_is_refused_and_how(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        ModelConfig.from_dict({"text_config": LLAMA, **change})
    assert str(caught.value)[0].isupper()
    assert str(caught.value).endswith(".")


def test_no_other_key_of_a_language_model_reaches_transformers() -> None:
    text = {**LLAMA, "auto_map": {"AutoConfig": "evil.py"}, "_attn_implementation": "evil/kernel"}
    assert ModelConfig.from_dict({"text_config": text}).text_config == LLAMA
    gpt2 = {"model_type": "gpt2", "n_embd": 8, "n_layer": 2, "auto_map": {"AutoConfig": "evil.py"}}
    assert ModelConfig.from_dict({"text_config": gpt2}).text_config == {"model_type": "gpt2", "n_embd": 8, "n_layer": 2}


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "[" * 100_000])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        ModelConfig.read(tmp_path)


def test_a_llama_is_read_as_transformers_4_and_5_write_it() -> None:
    old = {name: value for name, value in LLAMA.items() if name not in ("head_dim", "num_key_value_heads")}
    old |= {"num_attention_heads": 9, "rope_scaling": None}
    new = {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0}}
    del new["rope_theta"]
    assert LlamaSpec.from_config(new) == SMOLLM2_135M
    assert LlamaSpec.from_config(old).key_heads == 9
    assert LlamaSpec.from_config(old).head_width == 64


def test_the_shapes_of_a_llama_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    for tied in (True, False):
        config = {**LLAMA, "num_hidden_layers": 2, "tie_word_embeddings": tied}
        with torch.device("meta"):
            model = LlamaForCausalLM(LlamaConfig(**config))
        found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        if tied:
            del found["lm_head.weight"]
        assert found == LlamaSpec.from_config(config).shapes()


@pytest.mark.parametrize("layout", ["compact", "published"])
@pytest.mark.parametrize("kind", ["ced", "htsat", "cnn14"])
def test_the_shapes_of_a_model_are_those_of_its_modules(kind: str, layout: str) -> None:
    torch = pytest.importorskip("torch")
    from mellow.model.configuration import MellowConfig
    from mellow.model.modeling import MellowForConditionalGeneration

    tags = {"names": ["a"], "mean": [0.0], "std": [1.0], "sounds": ["x", "y"]}
    config = ModelConfig.from_dict(
        {
            "encoder": kind,
            "layout": layout,
            "text_config": {**LLAMA, "num_hidden_layers": 1},
            "tags": tags,
            "events": {"width": 16, "sounds": 2},
        }
    )
    with torch.device("meta"):
        model = MellowForConditionalGeneration(MellowConfig.of(config))
    found = {name: tuple(t.shape) for name, t in model.state_dict().items() if not name.endswith("tracked")}
    del found["language_model.lm_head.weight"]
    assert found == config.shapes()
