"""The ONNX engine against the torch engine: every encoder, both layouts, each precision, padding and shared pasts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mellow.answer.encode import encode_clip
from mellow.engines.interface import Cache, Engine
from mellow.engines.onnx import engine as running
from mellow.engines.onnx.engine import OnnxEngine
from mellow.engines.onnx.session import available_threads, open_session
from mellow.errors import ModelError
from mellow.graphs.graph import Graph, WeightMemory
from mellow.graphs.write import PRECISIONS, write_graphs
from mellow.processor import join_windows
from mellow.text.tags import TagSettings
from mellow.text.tokenizer import Tokenizer

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from mellow.engines.torch.engine import TorchEngine
from mellow.model.modeling import MellowForConditionalGeneration

EVENTS = {"events": {"width": 12, "sounds": 5}}
KINDS = [(encoder, layout) for encoder in ("ced", "htsat", "cnn14") for layout in ("compact", "published")]
CLOSE = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.1, "int4": 0.6}  # of the size of the torch engine's numbers


def arrays(model: MellowForConditionalGeneration) -> dict[str, np.ndarray]:
    return {name: tensor.float().numpy() for name, tensor in model.state_dict().items()}


def in_memory(model: MellowForConditionalGeneration, precision: str = "fp32") -> OnnxEngine:
    return OnnxEngine.of(model.config.model, arrays(model), precision=precision, threads=1)


def mel(frames: int, seed: int = 0) -> np.ndarray:
    """A log-mel (F, 64) of noise around its usual level."""
    return (-40 + 20 * np.random.default_rng(seed).standard_normal((frames, 64))).astype(np.float32)


def assert_close(found: np.ndarray, exact: np.ndarray, share: float) -> None:
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= share * max(1.0, np.abs(exact).max())


@pytest.fixture(scope="module")
def model(random_model: Any) -> MellowForConditionalGeneration:
    found: MellowForConditionalGeneration = random_model()
    return found


@pytest.fixture(scope="module")
def exact(model: MellowForConditionalGeneration) -> TorchEngine:
    return TorchEngine(model)


@pytest.fixture(scope="module")
def engine(model: MellowForConditionalGeneration) -> OnnxEngine:
    return in_memory(model)


@pytest.fixture(scope="module")
def graphs(model: MellowForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph directory. Do not change it: copy it first."""
    folder = tmp_path_factory.mktemp("graphs") / "tiny"
    config = model.config.model
    return write_graphs(folder, config=config, state=arrays(model), tokenizer=b"{}", precision="int8")


# --- hearing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("encoder", "layout"), KINDS)
def test_every_encoder_hears_what_torch_hears(random_model: Any, encoder: str, layout: str, precision: str) -> None:
    model = random_model(encoder, layout)
    exact, found = (e.encode(mel(1001)) for e in (TorchEngine(model), in_memory(model, precision)))
    assert_close(found.audio_KD, exact.audio_KD, CLOSE[precision])
    assert_close(found.clip_scores_C, exact.clip_scores_C, CLOSE[precision])


@pytest.mark.parametrize("frames", [16, 48, 100, 476, 1000, 1024, 1100])
def test_ced_hears_windows_of_any_length(engine: OnnxEngine, exact: TorchEngine, frames: int) -> None:
    assert_close(engine.encode(mel(frames)).audio_KD, exact.encode(mel(frames)).audio_KD, 1e-4)


@pytest.mark.parametrize("encoder", ["ced", "htsat"])
def test_windows_are_joined_as_torch_joins_them(random_model: Any, encoder: str) -> None:
    model = random_model(encoder)
    windows = [mel(1001, 1), mel(1001, 2), mel(1001 if encoder == "htsat" else 90, 3)]
    exact, found = (join_windows([e.encode(m) for m in windows]) for e in (TorchEngine(model), in_memory(model)))
    assert_close(found.audio_KD, exact.audio_KD, 1e-4)
    assert_close(found.clip_scores_C, exact.clip_scores_C, 1e-4)


def test_a_clip_that_becomes_no_numbers_is_refused(engine: OnnxEngine) -> None:
    """Rounding to whole numbers would hide it behind answers that look like others."""
    with pytest.raises(ModelError, match="non-finite values"):
        engine.encode(np.where(np.arange(1001)[:, None] == 500, np.nan, mel(1001)))


@pytest.mark.parametrize("pool", [1, 2, 3, 5])
def test_a_short_last_row_repeats_its_last_step(random_model: Any, pool: int) -> None:
    model = random_model(frames_per_row=pool)
    exact, found = (e.encode(mel(1001)) for e in (TorchEngine(model), in_memory(model)))
    assert_close(found.audio_KD, exact.audio_KD, 1e-4)


def test_event_scores_and_tags_are_those_of_torch(random_model: Any, tokenizer: Tokenizer) -> None:
    """In both engines, and in the model that users of transformers see."""
    settings = TagSettings([f"class {c}" for c in range(9)], [0.0] * 9, [1.0] * 9, count=3, sounds=list("abcde"))
    model = random_model(tags=settings.to_dict(), **EVENTS)
    model.set_tokenizer(tokenizer)
    windows = [mel(1001, 4), mel(200, 5)]
    encoded = [encode_clip(engine, windows, model.tags) for engine in (in_memory(model), TorchEngine(model))]
    first, second = (clip.encoded.event_scores_TE for clip in encoded)
    assert_close(first, second, 1e-4)
    assert first.shape == (62 + 12, 5)
    audio_KD, tags = model.encode([torch.from_numpy(window) for window in windows])
    assert encoded[0].tags == encoded[1].tags == tags
    assert_close(encoded[0].audio_KD, audio_KD.detach().numpy(), 1e-4)


# --- reading ----------------------------------------------------------------------------------------------------------


def read(engine: Engine, embeds: np.ndarray, mask: Any, cache: Cache | None = None) -> tuple[np.ndarray, Cache]:
    return engine.forward(embeds, np.asarray(mask, np.int64), cache, every=True)


def embeds(batch: int, length: int, seed: int = 0, *, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, length, width)).astype(np.float32)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_embeddings_and_logits_are_those_of_torch(random_model: Any, precision: str, tied: bool) -> None:
    model = random_model(text={"tie_word_embeddings": tied})
    exact, found = TorchEngine(model), in_memory(model, precision)
    rows_ND = embeds(1, 2)[0]
    ids = [5, -1, 0, -1, 299]
    assert_close(found.embed(ids, rows_ND), exact.embed(ids, rows_ND), CLOSE[precision])
    x = embeds(2, 9)
    assert_close(read(found, x, np.ones((2, 9)))[0], read(exact, x, np.ones((2, 9)))[0], CLOSE[precision])


@pytest.mark.parametrize("width", [64, 72])
@pytest.mark.parametrize("tied", [True, False])
def test_channels_that_stand_out_are_no_harm_in_int8(random_model: Any, width: int, tied: bool) -> None:
    """Without the turn of the residual stream they take the bits of all others: three times this error."""
    model = random_model(text={"hidden_size": width, "tie_word_embeddings": tied})
    exact, found = TorchEngine(model), in_memory(model, "int8")
    x = embeds(2, 9, width=width)
    x[..., 5] *= 60
    x[..., 20] *= 30
    assert_close(read(found, x, np.ones((2, 9)))[0], read(exact, x, np.ones((2, 9)))[0], 0.05)


MASKS = [
    [[1, 1, 1, 1], [1, 1, 1, 1]],
    [[0, 0, 1, 1], [1, 1, 1, 1]],
    [[1, 1, 0, 0], [0, 1, 0, 1]],
    [[1, 0, 1, 1], [0, 0, 0, 1]],
]


@pytest.mark.parametrize("first", MASKS)
@pytest.mark.parametrize("then", MASKS)
def test_padding_anywhere_is_harmless(engine: OnnxEngine, exact: TorchEngine, first: Any, then: Any) -> None:
    """Behind one past and another; logits at padding mean nothing."""
    caches: list[Cache | None] = [None, None]
    for step, mask in enumerate((first, then, [[1], [1]], MASKS[0])):
        x = embeds(2, len(mask[0]), step)
        results = [read(e, x, mask, c) for e, c in zip((engine, exact), caches, strict=True)]
        counts = np.array(mask, bool)
        assert_close(results[0][0][counts], results[1][0][counts], 1e-4)
        caches = [cache for _, cache in results]
        assert np.array_equal(results[0][1].mask_BL, results[1][1].mask_BL)


@pytest.mark.parametrize(("batch", "length"), [(1, 7), (2, 7), (7, 2), (3, 1)])
@pytest.mark.parametrize("every", [True, False])
def test_several_rows_read_several_positions(
    engine: OnnxEngine, exact: TorchEngine, batch: int, length: int, every: bool
) -> None:
    """ONNX Runtime does not read these in one pass behind a past."""
    found = []
    for e in (engine, exact):
        _, cache = read(e, embeds(1, 5), np.ones((1, 5)))
        mask_BL = np.ones((batch, length), np.int64)
        logits, _ = e.forward(embeds(batch, length, 1), mask_BL, e.take(cache, [0] * batch), every=every)
        found.append(logits)
    assert_close(*found, 1e-4)


def test_rows_in_int8_are_rounded_alike_whatever_stands_beside_them(model: MellowForConditionalGeneration) -> None:
    """So a batch answers as its questions alone do, and a text read in parts as in one piece."""
    engine = in_memory(model, "int8")
    x = embeds(2, 6)
    alone = read(engine, x[:1], np.ones((1, 6)))[0]
    together = read(engine, x * np.array([1, 300], np.float32)[:, None, None], np.ones((2, 6)))[0]
    first, cache = read(engine, x[:1, :4], np.ones((1, 4)))
    second, _ = read(engine, x[:1, 4:], np.ones((1, 2)), cache)
    assert_close(together[:1], alone, 1e-5)
    assert_close(np.concatenate([first, second], 1), alone, 1e-5)


def test_a_past_is_a_value(engine: OnnxEngine) -> None:
    """Read on from one past in three ways, from each again, and from rows of it: none changes another."""
    _, base = read(engine, embeds(2, 6), np.ones((2, 6)))
    ways = [read(engine, embeds(2, 3, n), np.ones((2, 3)), base) for n in range(3)]
    for n, (logits, cache) in enumerate(ways):
        assert np.array_equal(read(engine, embeds(2, 3, n), np.ones((2, 3)), base)[0], logits)
        further = read(engine, embeds(2, 1, 9), np.ones((2, 1)), cache)[0]
        assert np.array_equal(read(engine, embeds(2, 1, 9), np.ones((2, 1)), cache)[0], further)
        for rows in ([1], [1, 0, 1], [0, 1]):
            taken = read(engine, embeds(2, 1, 9)[rows], np.ones((len(rows), 1)), engine.take(cache, rows))[0]
            np.testing.assert_allclose(taken, further[rows], atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
def test_long_rows_are_read_in_parts(
    engine: OnnxEngine, exact: TorchEngine, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 4)
    x, mask_BL = embeds(batch, 11), np.ones((batch, 11), np.int64)
    mask_BL[-1, :3] = batch == 1  # padding in one of two rows
    for every in (False, True):
        found = engine.forward(x, mask_BL, None, every=every)[0]
        expected = exact.forward(x, mask_BL, None, every=every)[0]
        at = mask_BL.astype(bool) if every else slice(None)
        np.testing.assert_allclose(found[at], expected[at], atol=1e-4)


def test_a_past_grows_beyond_its_room(engine: OnnxEngine, exact: TorchEngine) -> None:
    """Token by token past several rooms, against everything at once; rotary tables grow, too."""
    x = embeds(1, 150)
    engine.rotary = engine.rotary[0][:20], engine.rotary[1][:20]
    logits, cache = read(engine, x[:, :3], np.ones((1, 3)))
    for at in range(3, 150):
        logits, cache = engine.forward(x[:, at : at + 1], np.ones((1, 1), np.int64), cache)
    assert_close(logits, read(exact, x, np.ones((1, 150)))[0][:, -1], 1e-4)


def test_threads_read_on_from_one_past(engine: OnnxEngine) -> None:
    _, base = read(engine, embeds(1, 6), np.ones((1, 6)))
    found: dict[int, np.ndarray] = {}

    def work(n: int) -> None:
        found[n] = read(engine, embeds(1, 4, n), np.ones((1, 4)), base)[0]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(6):
        np.testing.assert_allclose(found[n], read(engine, embeds(1, 4, n), np.ones((1, 4)), base)[0], atol=1e-5)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_graph_directory_answers_as_the_graphs_in_memory(graphs: Path, model: Any) -> None:
    loaded, kept = OnnxEngine.load(graphs, verify=True), in_memory(model, "int8")
    x, ids = embeds(1, 5), [3, 4]
    assert_close(loaded.encode(mel(300)).audio_KD, kept.encode(mel(300)).audio_KD, 1e-5)
    assert np.array_equal(loaded.embed(ids, x[0, :0]), kept.embed(ids, x[0, :0]))
    np.testing.assert_allclose(read(loaded, x, np.ones((1, 5)))[0], read(kept, x, np.ones((1, 5)))[0], atol=1e-5)


def test_the_graphs_are_sound_onnx(graphs: Path) -> None:
    """ONNX's own reader understands what we wrote, and no weight is there twice."""
    for name in ("encoder", "decoder"):
        graph = onnx.load(str(graphs / f"{name}.onnx"), load_external_data=False).graph
        places = [{e.key: e.value for e in t.external_data} for t in graph.initializer if t.external_data]
        offsets = [int(place["offset"]) for place in places]
        assert len(set(offsets)) == len(offsets) > 0
        assert {place["location"] for place in places} == {f"{name}.weights"}
        made = {output for node in graph.node for output in node.output}
        assert {output.name for output in graph.output} <= made


@pytest.mark.parametrize("clip_value", [None, 5.0])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_bias_is_added_however_activations_are_rounded(bits: int, clip_value: float | None) -> None:
    rng = np.random.default_rng(0)
    weight, bias, x = (rng.standard_normal(shape).astype(np.float32) for shape in ((32, 64), (32,), (3, 64)))
    memory = WeightMemory()
    graph = Graph({}, memory, bits=bits)
    x_name, bias_name = graph.input("x", ["rows", 64]), graph.weight("bias", bias)
    name = graph.linear(x_name, "weight", weight, bias=bias_name, clip_value=clip_value)
    graph.output(graph.op("Identity", name, out="y"), ["rows", 32])
    session = open_session(graph.model(), threads=1, arrays=memory.arrays)
    assert_close(session.run(["y"], {"x": x})[0], x @ weight.T + bias, 0.03)


def test_products_avoid_the_known_errors_of_onnx_runtime() -> None:
    """Blocks with zero points (its issue 29853), and whole numbers with odd numbers of outputs (its PR 27671)."""
    graph = Graph({}, WeightMemory(), bits=8)
    x = graph.input("x", ["rows", 64])
    for outputs in (24, 96):
        graph.linear(x, f"weight.{outputs}", np.ones((outputs, 64), np.float32), clip_value=1.0)
    graph.product(x, "blocks", np.ones((24, 64), np.float32), bits=4)
    nodes = onnx.load_model_from_string(graph.model()).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds == ["Cast", "FusedMatMul", "QuantizeLinear", "MatMulIntegerToFloat", "MatMulNBits"]
    assert len(nodes[-1].input) == 3


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.weights", "decoder.onnx", "decoder.weights"])
@pytest.mark.parametrize("how", ["missing", "short", "changed"])
def test_damaged_files_are_named(graphs: Path, tmp_path: Path, name: str, how: str) -> None:
    folder = tmp_path / "graphs"
    shutil.copytree(graphs, folder)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if how == "short":
        (folder / name).write_bytes(content[:-1])
    elif how == "changed":
        (folder / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(ModelError, match=name):
        OnnxEngine.load(folder, verify=True)


@pytest.mark.parametrize("content", [None, b"{", b"[]", b"{}", b'{"graphs": 1}'])
def test_a_directory_without_graphs_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        OnnxEngine.load(tmp_path)


def test_a_graph_that_onnx_runtime_refuses_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "decoder.onnx"
    path.write_bytes(bytes(1000))
    with pytest.raises(ModelError, match="cannot open the graph"):
        open_session(str(path), threads=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "gpt2"}, "this one is a 'gpt2'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "plain rotary positions"),
        ({"attention_bias": True}, "without biases"),
        ({"hidden_act": "gelu"}, "silu"),
        ({"head_dim": 8}, "multiple of 16"),
    ],
)
def test_language_models_without_a_graph_are_named_and_nothing_is_left(
    model: Any, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        config = replace(model.config.model, text_config={**model.config.model.text_config, **settings})
        write_graphs(tmp_path / "out", config=config, state=arrays(model), tokenizer=b"", precision="fp32")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupt_leaves_nothing(model: Any, tmp_path: Path, error: type[BaseException]) -> None:
    class Interrupted(dict[str, np.ndarray]):
        def __getitem__(self, name: str) -> np.ndarray:
            if name.endswith("layers.1.mlp.down_proj.weight"):
                raise error
            return super().__getitem__(name)

    with pytest.raises((KeyboardInterrupt, ModelError)):
        write_graphs(
            tmp_path / "out",
            config=model.config.model,
            state=Interrupted(arrays(model)),
            tokenizer=b"",
            precision="int8",
        )
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_unknown_precisions_are_named(model: Any, graphs: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"config": model.config.model, "state": arrays(model), "tokenizer": b""}
    with pytest.raises(ModelError, match="exists already"):
        write_graphs(graphs, precision="int8", **how)
    with pytest.raises(ModelError, match="no precision 'int2'"):
        write_graphs(tmp_path / "out", precision="int2", **how)


def test_hearing_and_reading_without_torch(graphs: Path, root: Path) -> None:
    """In a process where torch, transformers and onnx cannot be imported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'onnx'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from mellow.engines.onnx.engine import OnnxEngine\n"
        "engine = OnnxEngine.load(sys.argv[1])\n"
        "engine.encode(np.zeros((300, 64), np.float32))\n"
        "logits, _ = engine.forward(engine.embed([1, 2])[None], np.ones((1, 2), np.int64), None)\n"
        "assert np.isfinite(logits).all()\n"
    )
    environment = {"PYTHONPATH": str(root / "src"), "PATH": ""}
    subprocess.run([sys.executable, "-c", code, str(graphs)], env=environment, check=True)


def test_a_session_has_at_least_one_thread_and_few() -> None:
    assert 1 <= available_threads() <= 8
