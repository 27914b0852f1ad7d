"""Exporting a model directory, from Python and from the command line, and what the comparison finds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mellow
from mellow.answer.facade import Mellow
from mellow.cli.commands import app
from mellow.errors import ModelError
from mellow.graphs.write import PRECISIONS

pytest.importorskip("torch")

from mellow.export import verify
from mellow.export.export import export
from mellow.export.verify import BOUNDS, Bound, Comparison, compare, is_clear, peak_megabytes, size_megabytes

# Logits of the tiny model, which is random: of six draws, at most 2e-5, 0.06, 1.7 and 5.5.
CLOSE = {"fp32": 1e-4, "fp16": 0.08, "int8": 2.5, "int4": 8.0}
FEW = {"QUESTIONS": ("What is it?",), "CHOICES": (("What is it?", ("dog", "rain")),), "TOKENS": 3}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer questions and shorter answers: quick, and enough for a tiny model."""
    for name, setting in FEW.items():
        monkeypatch.setattr(verify, name, setting)


@pytest.fixture(scope="module")
def loaded(tiny_model_dir: Path) -> Mellow:
    return mellow.load(tiny_model_dir, engine="torch", device="cpu")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_export_is_close_to_its_model(
    loaded: Mellow, tiny_model_dir: Path, tmp_path: Path, tone: Any, few: None, precision: str
) -> None:
    directory = export(tiny_model_dir, tmp_path / "graphs", precision=precision)
    found = compare(loaded, directory, [tone(440, 2.0), tone(900, 3.1)])
    assert found.tokens >= 3
    assert found.choices == 3  # each clip, and both
    assert found.logit_error <= CLOSE[precision]
    if precision == "fp32":
        assert found.breaks(Bound(1e-2, 1.0, 1.0)) == []
    config = json.loads((directory / "config.json").read_text())
    assert config["graphs"]["precision"] == precision
    assert not {"base", "adapter", "weights"} & set(config)
    assert config["encoder_config"]["mlp_ratio"] == 4, "sizes that were left to their defaults are told"


def test_sizes_fall_with_the_precision(tiny_model_dir: Path, tmp_path: Path) -> None:
    sizes = []
    for precision in PRECISIONS:
        folder = tmp_path / precision
        sizes.append(size_megabytes(export(tiny_model_dir, folder, precision=precision)))
    assert sizes == sorted(sizes, reverse=True)
    if Path("/proc/self/status").is_file():
        assert (peak_megabytes(folder) or 0) > 40


def test_graphs_are_not_exported_again(tiny_model_dir: Path, tmp_path: Path) -> None:
    made = export(tiny_model_dir, tmp_path / "graphs")
    with pytest.raises(ModelError, match="holds graphs already; export the model that they were made from"):
        export(made, tmp_path / "again")


def test_a_full_checkpoint_is_exported_exactly(published_dir: Path, tmp_path: Path, tone: Any, few: None) -> None:
    graphs = export(published_dir, tmp_path / "graphs", precision="fp32")
    found = compare(mellow.load(published_dir, engine="torch", device="cpu"), graphs, [tone(440, 2.0)])
    assert found.logit_error <= CLOSE["fp32"]
    assert found.breaks(Bound(1e-2, 1.0, 1.0)) == []


def test_what_is_outside_a_bound_is_told() -> None:
    shares = {"equal_tokens": 0.1, "equal_clear": 0.8, "equal_choices": 0.5}
    found = Comparison(logit_error=2.0, **shares, tokens=10, clear=5, choices=2)
    assert found.breaks(Bound(3.0, 0.8, 0.5)) == []
    assert len(found.breaks(Bound(1.0, 0.9, 0.9))) == 3
    assert replace(found, logit_error=np.nan).breaks(Bound(1.0, 0.0, 0.0)), "a logit that is no number is no small one"


def test_a_token_is_clear_where_the_second_is_far_behind() -> None:
    spread = np.random.default_rng(0).standard_normal(1000)
    ahead = np.array([0.0, 0.2, 0.3, 5.0])[:, None] * (np.arange(1000) == 7)
    logits_LV = np.clip(spread, -3, 2.0) * (np.arange(1000) != 7) + 2.0 * (np.arange(1000) == 7) + ahead
    assert is_clear(logits_LV).tolist() == [False, False, True, True]
    assert is_clear(100 * logits_LV - 7).tolist() == [False, False, True, True], "whatever the size of the logits"


def test_missing_tokenizers_and_clips_are_named(loaded: Mellow, tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        export(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ModelError, match="no clips"):
        compare(loaded, tmp_path, [])


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["export", *map(str, words)])
    return done.exit_code, done.output


def test_the_command_exports_and_verifies(tiny_model_dir: Path, tmp_path: Path, tone: Any, few: None) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.wav").write_bytes(tone(440, 2.0).read_bytes())
    code, output = run(tiny_model_dir, tmp_path / "graphs", "--precision", "fp32", "--clips", clips)
    assert code == 0, output
    assert "largest logit error" in output
    assert (tmp_path / "graphs" / "decoder.onnx").is_file()
    again, output = run(tiny_model_dir, tmp_path / "graphs", "--clips", clips)
    assert again == 2
    assert "exists already" in output


def test_a_broken_bound_is_a_failure(
    tiny_model_dir: Path, tmp_path: Path, tone: Any, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "int8", Bound(0.0, 1.0, 1.0))
    code, output = run(tiny_model_dir, tmp_path / "graphs", "--precision", "int8", "--clips", tone(440, 2.0).parent)
    assert code == 1
    assert "largest logit error" in output
    assert "have to be" in output


def test_a_folder_without_recordings_is_named_before_anything_is_made(tiny_model_dir: Path, tmp_path: Path) -> None:
    code, output = run(tiny_model_dir, tmp_path / "graphs", "--clips", tmp_path)
    assert code == 2
    assert "no audio files" in output
    assert list(tmp_path.iterdir()) == []
