"""Which engine answers, what it needs, and that graphs are prepared once."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mellow
from mellow.answer import prepare as preparing
from mellow.answer.decode import DecodingOptions
from mellow.answer.facade import Mellow
from mellow.answer.load import model_directory
from mellow.checkpoints.cache import entries
from mellow.checkpoints.names import BUNDLED
from mellow.engines.onnx.engine import OnnxEngine
from mellow.errors import ModelError
from mellow.graphs import write

SHORT = DecodingOptions(max_new_tokens=6)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    """An empty cache."""
    caplog.set_level(logging.INFO, "mellow")
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


# --- which engine -----------------------------------------------------------------------------------------------------


def test_two_part_models_and_graphs_are_answered_by_onnx_runtime(tiny_model_dir: Path) -> None:
    model = mellow.load(tiny_model_dir)
    assert isinstance(model.engine, OnnxEngine)
    made = next(entry.path for entry in entries() if "-int8-" in entry.name)
    graphs = mellow.load(made)
    assert isinstance(graphs.engine, OnnxEngine)
    with pytest.raises(ModelError, match="are int8, not int4; export the model in int4"):
        mellow.load(made, dtype="int4")
    with pytest.raises(ModelError, match="holds graphs for the engine onnx; name the model"):
        mellow.load(made, engine="torch")


def test_a_path_is_never_a_name(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("v0", "mini"):
        shutil.copytree(tiny_model_dir, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert model_directory(Path("v0")) == Path("v0")
    assert model_directory(Path("mini")) == Path("mini")
    assert model_directory("mini") == BUNDLED


@pytest.mark.parametrize("how", [{"engine": "torch"}, {"dtype": "float32"}, {"dtype": "bfloat16"}])
@pytest.mark.usefixtures("with_torch")
def test_torch_answers_where_it_is_asked_for(tiny_model_dir: Path, how: dict[str, Any]) -> None:
    assert type(mellow.load(tiny_model_dir, **how).engine).__name__ == "TorchEngine"


def test_full_checkpoints_are_answered_by_onnx_runtime_in_full_precision(cache: Path, published_dir: Path) -> None:
    assert isinstance(mellow.load(published_dir).engine, OnnxEngine)
    (entry,) = entries()
    assert json.loads((entry.path / "config.json").read_text())["graphs"]["precision"] == "fp32"
    assert isinstance(mellow.load(published_dir, engine="onnx", dtype="int8").engine, OnnxEngine)
    assert len(entries()) == 2


@pytest.mark.usefixtures("with_torch")
def test_full_checkpoints_sound_the_same_to_both_engines(published_dir: Path, tone: Any) -> None:
    exact = mellow.load(published_dir, engine="torch", device="cpu").encode(tone(440, 2.0)).prefixes[0]
    found = mellow.load(published_dir).encode(tone(440, 2.0)).prefixes[0]
    np.testing.assert_allclose(found, exact, atol=1e-4 * np.abs(exact).max())


@pytest.mark.usefixtures("with_torch")
def test_a_language_model_that_is_no_llama_needs_torch(tiny_model_dir: Path, tmp_path: Path) -> None:
    settings = json.loads((tiny_model_dir / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "text_config": {"model_type": "gpt2"}}))
    with pytest.raises(ModelError, match="whose language model is no Llama, needs torch, not the engine onnx"):
        mellow.load(tmp_path, engine="onnx")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"engine": "steam"}, "There is no engine 'steam'; use auto, onnx or torch."),
        ({"dtype": "int3"}, "There is no precision 'int3'; use auto, fp32, fp16, int8, int4, float32 or bfloat16."),
        ({"device": "gpuu"}, "There is no device 'gpuu'; use auto, cpu, cuda or mps."),
        ({"engine": "onnx", "device": "gpuu"}, "There is no device 'gpuu'"),  # torch has none either
        ({"engine": "torch", "dtype": "fp16"}, "The engine torch has no precision 'fp16'; use float32, bfloat16"),
        ({"threads": 0}, "There cannot be 0 threads"),
        ({"threads": 10**9}, "There cannot be 1000000000 threads; give 1 to 256"),
        ({"threads": 10**30}, "There cannot be"),
        ({"engine": "onnx", "device": "cuda"}, "The device 'cuda' needs torch, not the engine onnx"),
        ({"engine": "onnx", "dtype": "bfloat16"}, "The precision bfloat16 needs torch, not the engine onnx"),
        ({"engine": "torch", "threads": 2}, "Threads can be chosen for the engine onnx only"),
    ],
)
def test_what_cannot_be(tiny_model_dir: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        mellow.load(tiny_model_dir, **how)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        (None, {"engine": "torch"}, "The engine torch needs torch: pip install 'mellow-audio[train]'"),
        (None, {"device": "cuda"}, "The device 'cuda' needs torch: pip install 'mellow-audio[train]'"),
        ("v0", {}, "The published model 'v0' needs torch: pip install 'mellow-audio[train]'"),
        ("my.ckpt", {}, "The checkpoint 'my.ckpt' is missing"),  # torch would not help
    ],
)
def test_where_torch_is_missing_that_is_told(
    tiny_model_dir: Path, name: str | None, how: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ("mellow.engines.torch.", "mellow.importers.", "mellow.model.")
    for module in [name for name in sys.modules if name.startswith(parts)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)  # its import fails
    with pytest.raises(ModelError) as caught:
        mellow.load(name or tiny_model_dir, **how)
    assert str(caught.value).startswith(words)


@pytest.mark.usefixtures("with_torch")
def test_both_engines_hear_and_read_the_same(tiny_model_dir: Path, tone: Any) -> None:
    """Up to float noise in fp32, up to what 8 bits lose in int8."""
    exact = mellow.load(tiny_model_dir, engine="torch", device="cpu").encode(tone(440, 2.0))
    for dtype, bound in (("fp32", 1e-3), ("int8", 0.1)):
        ear = mellow.load(tiny_model_dir, dtype=dtype).encode(tone(440, 2.0))
        assert ear.clips[0].tags == exact.clips[0].tags
        np.testing.assert_allclose(ear.prefixes[0], exact.prefixes[0], atol=bound * np.abs(exact.prefixes[0]).max())


def test_the_bundled_model_answers(bundled_base: Path, root: Path) -> None:
    if not (bundled_base.parent / "trained.safetensors").is_file():
        pytest.skip("the bundled trained.safetensors is not in this checkout")
    answer = mellow.load().ask(root / "examples" / "siren.flac", "What sound is this?")
    assert "siren" in answer.text.lower()


# --- prepared once ----------------------------------------------------------------------------------------------------


def test_graphs_are_prepared_once_and_that_is_told(
    cache: Path, tiny_model_dir: Path, tone: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int, int]] = []
    first = mellow.load(tiny_model_dir, progress=lambda *step: steps.append(step))
    (told,) = caplog.messages
    assert told.startswith(f"Preparing {tiny_model_dir.name} for this computer (int8); it is kept in {cache}")
    (total,) = {total for _, _, total in steps}
    assert 0 < total <= len(steps)
    assert sorted(done for _, done, _ in steps) == [done for _, done, _ in steps]
    caplog.clear()
    monkeypatch.setattr(preparing, "write_graphs", None)
    second = mellow.load(tiny_model_dir)
    assert caplog.messages == []
    assert second.ask(tone(), "What?", decoding=SHORT) == first.ask(tone(), "What?", decoding=SHORT)
    assert len(entries()) == 1


def test_other_parts_and_precisions_are_other_graphs(cache: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    mellow.load(tiny_model_dir)
    mellow.load(tiny_model_dir, dtype="int4")
    copy = Path(shutil.copytree(tiny_model_dir, tmp_path / tiny_model_dir.name))
    mellow.load(copy)
    assert len(entries()) == 2, "an equal copy has the same"
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"frames_per_row": 2', '"frames_per_row": 4'))
    mellow.load(copy)
    assert len(entries()) == 3


@pytest.mark.parametrize("damage", ["cut", "missing", "no config"])
def test_damaged_graphs_are_made_again(
    cache: Path, tiny_model_dir: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    mellow.load(tiny_model_dir)
    (entry,) = entries()
    if damage == "cut":
        os.truncate(entry.path / "decoder.weights", 1000)
    else:
        (entry.path / ("encoder.onnx" if damage == "missing" else "config.json")).unlink()
    caplog.clear()
    assert isinstance(mellow.load(tiny_model_dir).engine, OnnxEngine)
    made_again, preparing = caplog.messages
    assert made_again.endswith("It is prepared again.")
    assert preparing.startswith("Preparing")
    assert [found.size for found in entries()] == [entry.size]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_killed_while_preparing_nothing_is_left(
    cache: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> bytes:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(write, "decoder_graph", die)
        with pytest.raises(Killed):
            mellow.load(tiny_model_dir)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    mellow.load(tiny_model_dir)


def test_without_a_cache_it_is_prepared_in_memory(
    tiny_model_dir: Path, tone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = mellow.load(tiny_model_dir).ask(tone(), "What?", decoding=SHORT)
    (tmp_path / "file").touch()
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "file"))
    caplog.clear()
    assert mellow.load(tiny_model_dir).ask(tone(), "What?", decoding=SHORT) == expected
    (told,) = caplog.messages
    assert told.startswith("The cache cannot be used (")
    assert "prepared in memory, each time it is loaded" in told


CODE = """
import logging, sys
logging.basicConfig(level=logging.INFO)
import mellow
from mellow.answer.decode import DecodingOptions
answer = mellow.load(sys.argv[1]).ask(sys.argv[2], "What is it?", decoding=DecodingOptions(max_new_tokens=4))
chosen = mellow.load(sys.argv[1]).ask(sys.argv[2], "Which?", choices=["dog", "rain"])
print([name for name in ("torch", "transformers", "gguf", "onnx", "pydantic") if name in sys.modules])
"""


def test_processes_that_start_at_once_prepare_once_and_none_loads_torch(
    cache: Path, tiny_model_dir: Path, tone: Any, root: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-c", CODE, str(tiny_model_dir), str(tone())]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]
    ended = [(*process.communicate(timeout=500), process.returncode) for process in running]
    assert [(out, code) for out, _, code in ended] == [("[]\n", 0)] * 2, ended
    assert sum(err.count("Preparing") for _, err, _ in ended) == 1


def test_a_full_checkpoint_is_prepared_and_answers_without_torch(
    cache: Path, published_dir: Path, tone: Any, root: Path
) -> None:
    absent = ("torch", "transformers", "gguf", "onnx", "pydantic", "huggingface_hub")
    code = f"import sys; sys.modules |= dict.fromkeys({absent})\n{CODE}"
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-c", code, str(published_dir), str(tone())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Preparing") == 1


def test_the_model_is_named_as_it_was_asked_for(tiny: Mellow, tiny_model_dir: Path) -> None:
    assert tiny.name == str(tiny_model_dir)
