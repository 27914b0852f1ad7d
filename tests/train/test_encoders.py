"""Training on every encoder that `mellow convert --encoder` writes, and answers of the result without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mellow
from mellow.encoders import EncoderConfig, encoder_spec
from mellow.errors import ModelError, RecipeError
from mellow.importers import published
from mellow.importers.convert import convert_encoder
from mellow.train.initial import encoder_of, initial_model
from mellow.train.recipe import ModelRecipe, Recipe
from mellow.train.run import train

Job = Callable[..., Recipe]

SIZES: dict[str, dict[str, Any]] = {
    "htsat": {"width": 4, "patch": 32, "depths": (1,), "heads": (2,), "mlp_ratio": 2, "classes": 7},
    "cnn14": {"widths": (2, 3, 4, 4, 4, 6), "classes": 7},
}
STEP_SECONDS = {"htsat": 0.3125, "cnn14": 0.32}
STEPS = {"htsat": 32, "cnn14": 31}  # of 10 s
KEY_MAPS: dict[str, Callable[[Any], published.KeyMap]] = {"htsat": published._htsat, "cnn14": published._cnn14}
ASK = """
import json, sys
sys.modules |= dict.fromkeys(["torch", "transformers", "peft", "onnx", "gguf", "pydantic", "yaml"])
import mellow
answer = mellow.load(sys.argv[1], dtype="fp32").ask(sys.argv[2], "Which?", choices=["low", "high"])
print(json.dumps(answer.probabilities))
"""


@pytest.fixture(scope="module", params=SIZES)
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, EncoderConfig, Path]:
    """A small encoder under its published names, converted: kind, sizes, directory."""
    kind, folder = request.param, tmp_path_factory.mktemp("encoder")
    sizes = encoder_spec(kind).sizes(SIZES[kind])
    module = encoder_spec(kind).torch(sizes)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in module.state_dict().items():
        if name.endswith(("running_mean", "running_var")) and "bn0" in name:
            state[name] = torch.full_like(tensor, -40.0 if name.endswith("mean") else 400.0)
        elif tensor.is_floating_point() and tensor.ndim > 1:
            state[name] = torch.randn(tensor.shape, generator=generator) * 1.4 * tensor[0].numel() ** -0.5
        else:
            state[name] = tensor
    key_map = KEY_MAPS[kind](sizes)
    theirs = {their: state[our] for our, their in (key_map.mapped | key_map.counters).items()}
    torch.save({"model": theirs}, folder / "published.pth")
    return kind, sizes, convert_encoder(folder / "published.pth", folder / kind, encoder=kind, sizes=sizes)


@pytest.fixture
def recipe(job: Job, converted: tuple[str, EncoderConfig, Path], tiny_gguf: Path) -> Recipe:
    model = ModelRecipe(encoder=str(converted[2]), base=str(tiny_gguf), heard_words=3, adapter_rank=4, adapter_alpha=8)
    return job(run={"steps": 2}).model_copy(update={"model": model})


def test_the_weights_are_those_that_were_converted(recipe: Recipe, converted: tuple[str, EncoderConfig, Path]) -> None:
    kind, sizes, _ = converted
    spec, found, state = encoder_of(recipe.model)
    assert (spec.kind, found) == (kind, sizes) and state is not None
    ours = initial_model(recipe.model).encoder.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in state.items())
    assert {name for name in ours if name not in state} == {n for n in ours if n.endswith("num_batches_tracked")}


@pytest.mark.slow
def test_a_run_on_a_converted_encoder_answers_without_torch(
    recipe: Recipe, converted: tuple[str, EncoderConfig, Path], tone: Any
) -> None:
    kind = converted[0]
    made = train(recipe)
    clip = tone(600, 10.0)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(made), str(clip)], env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    torch_model = mellow.load(made, engine="torch")
    expected = torch_model.ask(clip, "Which?", choices=["low", "high"]).probabilities
    assert json.loads(done.stdout) == pytest.approx(expected, abs=1e-4)
    onnx_model = mellow.load(made, dtype="fp32")
    windows = onnx_model.processor.features(onnx_model.processor.clip(clip))
    for mel_FM in windows:
        one, other = (model.engine.encode(mel_FM) for model in (onnx_model, torch_model))
        assert one.step_scores_TC.shape == (STEPS[kind], 7)
        np.testing.assert_allclose(one.audio_KD, other.audio_KD, atol=1e-4)
        np.testing.assert_allclose(one.step_scores_TC, other.step_scores_TC, atol=1e-3)


@pytest.mark.slow
def test_times_of_events_follow_the_encoders_steps(
    recipe: Recipe, converted: tuple[str, EncoderConfig, Path], tone: Any
) -> None:
    """What the event head finds in the second half of a clip of 10 s, and of its second window, is written so."""
    kind, _, _ = converted
    model = mellow.load(train(recipe), dtype="fp32")
    assert model.tags is not None
    assert (model.tags.clock.seconds, model.tags.clock.per_window) == (STEP_SECONDS[kind], STEPS[kind])
    model.tags.settings = replace(model.tags.settings, sounds=["dog"])
    for seconds, start, end in ((10.0, 5.0, 10.0), (20.0, 15.0, 20.0)):
        windows = model.processor.features(model.processor.clip(tone(600, seconds)))
        steps = [model.engine.encode(mel_FM).step_scores_TC for mel_FM in windows]
        steps_TC = np.concatenate(steps)
        event_TE = np.full((len(steps_TC), 1), -9.0, np.float32)
        event_TE[-(STEPS[kind] // 2) :] = 9.0
        text = model.tags.tokenizer.decode(model.tags.ids(steps_TC.max(0), steps_TC, event_TE))
        assert f"Events: dog {start:g}-{end:g}." in text


def test_an_encoder_that_is_not_there_or_does_not_fit(
    tmp_path: Path, converted: tuple[str, EncoderConfig, Path]
) -> None:
    with pytest.raises(RecipeError, match=r"no encoder '.*none'; give CED's ONNX export, .* ced, htsat, cnn14"):
        encoder_of(ModelRecipe(encoder=str(tmp_path / "none")))
    with pytest.raises(RecipeError, match="its own sizes"):
        encoder_of(ModelRecipe(encoder=str(converted[2]), encoder_sizes={"classes": 7}))
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        encoder_of(ModelRecipe(encoder=str(tmp_path)))
