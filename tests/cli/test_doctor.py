"""`mellow doctor`: one page for a bug report, without a name in it; code 1 where something is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mellow
from mellow import doctor
from mellow.offline import TELEMETRY

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a telling name, which holds the cache and a model in the place of the bundled one."""
    home = tmp_path / "jane.doe"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("MELLOW_CACHE", str(home / "cache"))
    model = Path(shutil.copytree(tiny_model_dir, home / "model"))
    monkeypatch.setattr(doctor, "BUNDLED", model)
    monkeypatch.setattr(doctor, "load", lambda: mellow.load(model))
    return home


class Oracle:
    """A model that says this whatever it is asked; the tiny one is random."""

    def __init__(self, text: str) -> None:
        self.text = text

    def ask(self, *_: object, **__: object) -> mellow.Answer:
        return mellow.Answer(self.text, choice=self.text, probabilities=(0.1, 0.2, 0.7), stop_reason="choice")


def certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load", lambda: Oracle(doctor.OPTIONS[0]))


def test_the_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    certain(monkeypatch)
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for words in ("versions", "onnxruntime", "~/cache", "processor", "threads", *TELEMETRY, "base.gguf", "self-test"):
        assert words in result.stdout
    assert "FAILED" not in result.stdout
    assert "jane" not in result.stdout


def test_one_object(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    certain(monkeypatch)
    found = json.loads(run("doctor", "--json").stdout)
    assert found["passed"] is True
    assert set(found["facts"]) == {"versions", "cache", "processor", "telemetry"}
    assert {check["name"] for check in found["checks"]} >= {"base.gguf", "trained.safetensors", "self-test"}
    assert "jane" not in json.dumps(found)


@pytest.mark.parametrize("name", ["base.gguf", "trained.safetensors"])
def test_a_changed_file_is_found(run: Run, home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    certain(monkeypatch)
    path = home / "model" / name
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    result = run("doctor")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.strip().startswith(name)]
    assert "FAILED" in line


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "base.gguf"])
def test_a_missing_file_fails_and_the_page_is_still_whole(run: Run, home: Path, name: str) -> None:
    (home / "model" / name).unlink()
    result = run("doctor")
    assert result.exit_code == 1
    assert "onnxruntime" in result.stdout
    assert "FAILED" in result.stdout
    assert "jane" not in result.stdout
    assert "Traceback" not in result.output


def test_a_wrong_answer_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load", lambda: Oracle("rain"))
    result = run("doctor")
    assert result.exit_code == 1
    assert "FAILED  'rain' (0.70)" in result.stdout


def test_telemetry_that_a_user_wants_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(iter(TELEMETRY))
    monkeypatch.setenv(name, "0")
    assert f"{name}    '0' (not switched off)" in run("doctor").stdout


def test_the_bundled_model_passes(bundled_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [check for check in doctor.model_checks(bundled_base.parent) if not check.passed] == []
    assert doctor.self_test().passed
