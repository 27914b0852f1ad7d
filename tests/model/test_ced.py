"""CED: shapes and batches on tiny sizes; with `../shared`, the port against the published ONNX graph on real clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mellow.audio import CED, load, log_mel
from mellow.encoders import CedConfig
from mellow.encoders.ced import PATCH
from mellow.importers.ced_onnx import read_ced_onnx
from mellow.model.ced import Ced
from mellow.model.encoder import EncoderOutput

TINY = CedConfig(width=16, depth=2, heads=2, classes=7)

GRAPH_MEL = "mul_53"  # names inside the published graph
GRAPH_WINDOW = "val_45_dq"
GRAPH_FILTERS = "mel_transform.mel_scale.fb_dq"
CLIPS = (("esc50_16k", 0), ("esc50_16k", 300), ("esc50_16k", 600), ("esc50_16k", 900), ("adafruit_shop", 0))


@pytest.fixture(scope="module")
def tiny_ced() -> Ced:
    torch.manual_seed(0)
    encoder = Ced(TINY).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder


def mel(frames: int, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, TINY.mel_bins, generator=torch.Generator().manual_seed(seed))


# --- tiny sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "steps"), [(16, 1), (31, 1), (32, 2), (48, 3), (1001, 62), (1008, 63), (1024, 63), (1500, 63)]
)
def test_shapes_and_steps(tiny_ced: Ced, frames: int, steps: int) -> None:
    encoded = tiny_ced(mel(frames, batch=2))
    assert encoded.frames_BTE.shape == (2, steps, TINY.frame_width) == (2, steps, 4 * TINY.width)
    assert encoded.latent_BE.shape == (2, TINY.latent_width)
    assert encoded.step_scores_BTC.shape == (2, steps, TINY.classes)
    assert encoded.clip_scores_BC.shape == (2, TINY.classes)


def test_frames_beyond_the_last_step_are_not_heard(tiny_ced: Ced) -> None:
    whole = mel(PATCH * TINY.max_steps + 100)
    for longer, cut in zip(tiny_ced(whole), tiny_ced(whole[:, : PATCH * TINY.max_steps]), strict=True):
        assert torch.equal(longer, cut)


def test_batch_equals_single(tiny_ced: Ced) -> None:
    mel_BFM = mel(80, batch=3)
    together = tiny_ced(mel_BFM)
    for b in range(3):
        for whole, one in zip(together, tiny_ced(mel_BFM[b : b + 1]), strict=True):
            torch.testing.assert_close(whole[b : b + 1], one, rtol=1e-4, atol=1e-5)


def test_the_latent_is_the_mean_of_all_frames(tiny_ced: Ced) -> None:
    encoded = tiny_ced(mel(80))
    patches = encoded.frames_BTE.unflatten(2, (tiny_ced.rows, TINY.width))
    torch.testing.assert_close(encoded.latent_BE, patches.mean((1, 2)))


def test_frames_keep_the_order_of_time(tiny_ced: Ced) -> None:
    """Without positions, swapping two 160 ms pieces of the input swaps their rows in the output."""
    plain = Ced(TINY).eval()
    plain.load_state_dict(tiny_ced.state_dict() | {"time_position": torch.zeros(1, TINY.width, 1, TINY.max_steps)})
    pieces = list(mel(3 * PATCH).split(PATCH, dim=1))
    first = plain(torch.cat(pieces, 1)).frames_BTE
    swapped = plain(torch.cat([pieces[2], pieces[1], pieces[0]], 1)).frames_BTE
    torch.testing.assert_close(swapped, first.flip(1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(swapped, first, atol=1e-2)


def test_gradients_reach_every_weight(tiny_ced: Ced) -> None:
    encoded = tiny_ced(mel(PATCH * TINY.max_steps))
    (encoded.clip_scores_BC.square().sum() + encoded.frames_BTE.square().sum()).backward()
    assert [name for name, p in tiny_ced.named_parameters() if p.grad is None or not p.grad.any()] == []
    tiny_ced.zero_grad(set_to_none=True)


# --- the published graph --------------------------------------------------------------------------------------------


@dataclass
class Published:
    """The graph, run without optimisations, with its inner log-mel and rounded constants; and our port of it."""

    session: onnxruntime.InferenceSession
    port: Ced

    def run(self, waveform_S: np.ndarray) -> dict[str, np.ndarray]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, {"waveform": waveform_S[None]}), strict=True))

    @torch.inference_mode()
    def scores(self, mel_FM: np.ndarray) -> np.ndarray:
        encoded: EncoderOutput = self.port(torch.from_numpy(np.ascontiguousarray(mel_FM, np.float32))[None])
        return np.asarray(encoded.clip_scores_BC.sigmoid().numpy())


@pytest.fixture(scope="module")
def published(shared: Callable[[str], Path]) -> Published:
    path = shared("base/ced-tiny/tiny.onnx")
    model = onnx.load(str(path))
    for name in (GRAPH_MEL, GRAPH_WINDOW, GRAPH_FILTERS):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    port = Ced(CedConfig()).eval()
    port.load_state_dict(read_ced_onnx(path))
    return Published(session, port)


@pytest.fixture(params=CLIPS, ids=lambda clip: f"{clip[0]}-{clip[1]}")
def waveform_S(request: pytest.FixtureRequest, shared: Callable[[str], Path]) -> np.ndarray:
    """Up to 10 s of a real recording: the n-th file of a folder."""
    folder, number = request.param
    path = sorted((shared("audio") / folder).iterdir())[number]
    return load(path, CED.sample_rate).waveform_S[: 10 * CED.sample_rate]


def rounded_log_mel(waveform_S: np.ndarray, graph: dict[str, np.ndarray]) -> np.ndarray:
    """The log-mel of the specification with the graph's int8-rounded window and filters."""
    padded_S = np.pad(waveform_S, 256, mode="reflect")
    frames_FN = np.lib.stride_tricks.sliding_window_view(padded_S, 512)[::160]
    power_FK = np.abs(np.fft.rfft(frames_FN * graph[GRAPH_WINDOW], axis=1)) ** 2
    return np.asarray(10 * np.log10(np.maximum(power_FK @ graph[GRAPH_FILTERS], 1e-10)))


def test_scores_equal_the_graph_s_behind_its_own_log_mel(published: Published, waveform_S: np.ndarray) -> None:
    graph = published.run(waveform_S)
    assert graph["logits"].max() > 0.2  # it hears something
    np.testing.assert_allclose(published.scores(graph[GRAPH_MEL][0].T), graph["logits"], atol=1e-5)


def test_scores_equal_the_graph_s_end_to_end_with_its_rounded_constants(
    published: Published, waveform_S: np.ndarray
) -> None:
    graph = published.run(waveform_S)
    found = published.scores(rounded_log_mel(waveform_S, graph))
    np.testing.assert_allclose(found, graph["logits"], atol=1e-3)


def test_the_exact_front_end_stays_near_the_graph(published: Published, waveform_S: np.ndarray) -> None:
    """The graph's window and filters are rounded to int8; ours are exact. `pytest -rP` shows the differences."""
    graph = published.run(waveform_S)
    difference = np.abs(published.scores(log_mel(waveform_S, CED)) - graph["logits"]).max()
    print(f"largest difference of the {graph['logits'].size} scores: {difference:.4f}")
    assert 0 < difference < 0.05
