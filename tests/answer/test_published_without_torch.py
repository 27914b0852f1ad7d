"""The published model where torch is not installed: once it is converted, its graphs are made and answer without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mellow
from mellow.answer.decode import DecodingOptions, decode, prefill
from mellow.answer.facade import Mellow
from mellow.checkpoints.converted import find_converted
from mellow.errors import ModelError

ABSENT = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "onnx",
    "gguf",
    "pydantic",
    "yaml",
    "huggingface_hub",
    "sklearn",
)
GUARD = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
ASK = """
import json, sys
import mellow
from mellow.answer.decode import DecodingOptions

model = mellow.load(sys.argv[1])
few = DecodingOptions(max_new_tokens=8)
found = []
for clips, question, choices in json.loads(sys.argv[2]):
    answer = model.ask(clips[0], question, audio2=(clips[1:] or [None])[0], choices=choices, decoding=few)
    found.append([answer.text, answer.probabilities])
print(json.dumps({"engine": type(model.engine).__name__, "answers": found}))
"""
FEW = DecodingOptions(max_new_tokens=8)

Tone = Callable[..., Path]
Answers = Callable[..., dict[str, Any]]


@pytest.fixture
def without_torch(root: Path, tmp_path: Path) -> Answers:
    """Answers of a model in a process that cannot import torch, or anything else of the extra `train`."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)

    def ask(name: str | Path, questions: list[Any]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(name), json.dumps(questions)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), str(root / "src")])},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return ask


@pytest.fixture
def questions(tone: Tone) -> list[Any]:
    one, two, long = (str(tone(*given)) for given in ((440, 2.0), (900, 10.0), (300, 12.0)))
    return [
        [[one], "What is it?", None],
        [[two], "caption the audio.", None],
        [[one, two], "explain the difference.", None],
        [[long], "What is it?", None],
        [[one], "Which?", ["a dog", "rain", "a siren"]],
    ]


@pytest.mark.usefixtures("with_torch")
def test_a_converted_model_answers_as_torch_does(
    published_dir: Path, without_torch: Answers, questions: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    found = without_torch(published_dir, questions)
    assert found["engine"] == "OnnxEngine"
    assert len(list((tmp_path / "cache" / "models").glob("tiny-fp32-*/decoder.onnx"))) == 1
    torch = mellow.load(published_dir, engine="torch", device="cpu")
    texts = set()
    for (clips, question, choices), (text, probabilities) in zip(questions, found["answers"], strict=True):
        second = clips[1] if len(clips) > 1 else None
        answer = torch.ask(clips[0], question, audio2=second, choices=choices, decoding=FEW)
        assert text == answer.text
        assert probabilities == pytest.approx(answer.probabilities, abs=1e-4)
        texts.add(text)
    assert len(texts) > 2, "questions and clips should make a difference"


@pytest.mark.usefixtures("with_torch")
def test_logits_and_greedy_tokens_are_those_of_torch(published_dir: Path, questions: list[Any]) -> None:
    logits, tokens = {}, {}
    for engine in ("onnx", "torch"):
        model = mellow.load(published_dir, engine=engine)
        rows = [asked(model, clips, question) for clips, question, _ in questions]
        logits[engine], tokens[engine] = (np.concatenate([row[n] for row in rows]) for n in (0, 1))
    assert np.abs(logits["onnx"] - logits["torch"]).max() <= 1e-3 < np.abs(logits["torch"]).max() / 100
    np.testing.assert_array_equal(tokens["onnx"], tokens["torch"])
    assert len(set(tokens["torch"].ravel())) >= 3, "questions and clips should make a difference"


def asked(model: Mellow, clips: list[str], question: str) -> tuple[np.ndarray, np.ndarray]:
    """The logits (1, V) behind a question about the first window of clips, and eight greedy tokens (1, 8)."""
    engine, encoded = model.engine, model.encode(*clips)
    prompt_LD = np.concatenate([encoded.prefixes[0], engine.embed(model.processor.prompt.question(question))])
    logits_BV, cache = prefill(engine, [prompt_LD])
    made = [row[0] for row in decode(engine, logits_BV, cache, stop_ids=(), decoding=FEW)]
    return logits_BV, np.array([made])


def test_a_checkpoint_is_converted_with_torch_once(
    published_checkpoint: Path,
    published_config: Any,
    without_torch: Answers,
    questions: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From then on its path is enough; a damaged conversion needs torch again, and says so."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mellow.importers.convert.published_config", lambda: published_config)
    assert find_converted(str(published_checkpoint)) is None
    expected = [mellow.load(published_checkpoint).ask(questions[0][0][0], questions[0][1], decoding=FEW).text]
    found = without_torch(published_checkpoint, questions[:1])
    assert [text for text, _ in found["answers"]] == expected
    made = find_converted(str(published_checkpoint))
    assert made is not None
    weights = made / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setitem(sys.modules, "mellow.importers.convert", None)
    with pytest.raises((ModelError, ModuleNotFoundError)):
        mellow.load(published_checkpoint)
