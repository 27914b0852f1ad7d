"""The table of encoders: facts equal those of the modules, and a new kind needs a row, a torch module and a graph."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mellow.audio.front_end import CED
from mellow.config import ModelConfig
from mellow.encoders import ENCODERS, EncoderSpec, encoder_spec
from mellow.encoders.shapes import Shapes, linear
from mellow.errors import ModelError

SMALL: dict[str, dict[str, Any]] = {
    "ced": {"width": 12, "depth": 2, "heads": 2, "mel_bins": 32, "classes": 7},
    "htsat": {"width": 4, "patch": 32, "depths": (1,), "heads": (2,), "mlp_ratio": 2, "classes": 5},
    "cnn14": {"mel_bins": 16, "widths": (4, 6, 8), "classes": 3},
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("size", ["full", "small"])
def test_shapes_and_widths_are_those_of_the_module(kind: str, size: str) -> None:
    torch = pytest.importorskip("torch")
    spec = encoder_spec(kind)
    sizes = spec.sizes(SMALL[kind] if size == "small" else None)
    with torch.device("meta"):
        module = spec.torch(sizes)
    found = {name: tuple(t.shape) for name, t in module.state_dict().items() if not name.endswith("tracked")}
    assert found == sizes.shapes()


@pytest.mark.parametrize("kind", ENCODERS)
def test_steps_of_a_full_window_are_those_of_the_module(kind: str) -> None:
    """And their length times their number is a window, less what starts no step."""
    torch = pytest.importorskip("torch")
    spec = encoder_spec(kind)
    full = spec.sizes()
    sizes = spec.sizes({**SMALL[kind], **({"widths": (2, 2, 2, 2, 2, 2), "mel_bins": 64} if kind == "cnn14" else {})})
    with torch.no_grad():
        output = spec.torch(sizes).eval()(torch.zeros(1, 1001, sizes.mel_bins))
    assert output.frames_BTE.shape[1:] == (sizes.steps_per_window, sizes.frame_width)
    assert output.latent_BE.shape[1] == sizes.latent_width
    assert 10.0 - full.seconds_per_step < full.steps_per_window * full.seconds_per_step <= 10.0


@pytest.mark.parametrize("kind", ENCODERS)
def test_unknown_and_impossible_sizes_are_refused(kind: str) -> None:
    with pytest.raises(ModelError, match="has no size colour"):
        encoder_spec(kind).sizes({"colour": 3})
    with pytest.raises(ModelError, match=r"^[A-Z].*\.$"):
        encoder_spec(kind).sizes({"mel_bins": "many"})


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(ModelError, match="'whisper'; known are ced, htsat, cnn14"):
        encoder_spec("whisper")


# --- a toy encoder: one row, its torch module, its graph --------------------------------------------------------------


@dataclass(frozen=True)
class ToyConfig:
    """Ten mel frames are a step, and a step is one matrix product."""

    width: int = 8
    mel_bins: int = 64
    classes: int = 4
    seconds_per_step = 0.1
    steps_per_window = 100

    @property
    def frame_width(self) -> int:
        return self.width

    @property
    def latent_width(self) -> int:
        return self.width

    def shapes(self) -> Shapes:
        return linear("frames", self.width, 10 * self.mel_bins) | linear("scores", self.classes, self.width)


def toy_module(sizes: ToyConfig) -> Any:
    torch = pytest.importorskip("torch")
    from mellow.model.encoder import EncoderOutput

    class Toy(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.frames = torch.nn.Linear(10 * sizes.mel_bins, sizes.width)
            self.scores = torch.nn.Linear(sizes.width, sizes.classes)

        def forward(self, mel_BFM: Any) -> EncoderOutput:
            steps = mel_BFM.shape[1] // 10
            frames = self.frames(mel_BFM[:, : 10 * steps].reshape(1, steps, -1))
            scores = self.scores(frames)
            return EncoderOutput(frames, frames.mean(1), scores, scores.mean(1))

    return Toy()


def toy_graph(graph: Any, sizes: ToyConfig, mel_BFM: str) -> Any:
    from mellow.graphs.layers import linear as product
    from mellow.graphs.mapper import Outputs

    one = graph.constant([1])
    frames = graph.op("Div", graph.op("Shape", mel_BFM, start=1, end=2), graph.constant([10]))
    whole = graph.op("Slice", mel_BFM, graph.constant([0]), graph.op("Mul", frames, graph.constant([10])), one)
    x = product(graph, graph.op("Reshape", whole, graph.constant([1, -1, 10 * sizes.mel_bins])), "encoder.frames")
    scores = product(graph, x, "encoder.scores")
    means = [graph.op("ReduceMean", y, one, keepdims=0) for y in (x, scores)]
    return Outputs(frames_BTE=x, latent_BE=means[0], step_scores_BTC=scores, clip_scores_BC=means[1])


def test_a_new_encoder_needs_a_row_a_module_and_a_graph(monkeypatch: pytest.MonkeyPatch, tiny_settings: Any) -> None:
    """With these three, a model on it is built, checked, made into graphs and answers alike in both engines."""
    torch = pytest.importorskip("torch")
    from mellow.engines.onnx.engine import OnnxEngine
    from mellow.engines.torch.engine import TorchEngine
    from mellow.model.configuration import MellowConfig
    from mellow.model.modeling import MellowForConditionalGeneration

    toy = ModuleType("toy_encoder")
    toy.module, toy.graph = toy_module, toy_graph  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_encoder", toy)
    row = EncoderSpec("toy", ToyConfig, CED, "toy_encoder:module", "toy_encoder:graph")
    monkeypatch.setitem(ENCODERS, "toy", row)

    settings = {**tiny_settings, "encoder": "toy", "encoder_config": {}, "tags": {}}
    config = ModelConfig.from_dict({name: value for name, value in settings.items() if name not in ("base", "adapter")})
    torch.manual_seed(0)
    model = MellowForConditionalGeneration(MellowConfig.of(config)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    state.pop("language_model.lm_head.weight")
    assert {name: array.shape for name, array in state.items()} == config.shapes()

    mel_FM = np.random.default_rng(0).normal(size=(457, 64)).astype(np.float32)
    graphs, tensors = OnnxEngine.of(config, state, precision="fp32"), TorchEngine(model)
    ours, theirs = graphs.encode(mel_FM), tensors.encode(mel_FM)
    np.testing.assert_allclose(ours.audio_KD, theirs.audio_KD, atol=1e-4)
    np.testing.assert_allclose(ours.step_scores_TC, theirs.step_scores_TC, atol=1e-4)
    embeds_1LD = graphs.embed([5, 6, 7])[None]
    logits = [engine.forward(embeds_1LD, np.ones((1, 3), np.int64), None)[0] for engine in (graphs, tensors)]
    np.testing.assert_allclose(*logits, atol=1e-3)
