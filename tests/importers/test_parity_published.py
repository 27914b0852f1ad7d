"""Mellow v0 in full size, through the real processor, prompt and both engines, against the original's goldens.

The parity kit (generated weights, golden outputs) lies in the folder MELLOW_PARITY_KIT, by default `../shared/parity`
beside the repository; everything here is skipped without it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import mellow
from mellow.answer.decode import DecodingOptions, decode, prefill
from mellow.answer.facade import EncodedAudio, Mellow
from mellow.audio import HTSAT
from mellow.importers.convert import TOKENIZER, convert
from mellow.text.published_prompt import PublishedPrompt
from mellow.types import Clip

KIT = Path(os.environ.get("MELLOW_PARITY_KIT") or Path(__file__).parents[3] / "shared" / "parity")
CASES: list[dict[str, Any]] = json.loads((KIT / "golden.json").read_text()) if (KIT / "golden.json").is_file() else []
CLOSE = 1e-3  # relative error (norm) of prefix and logits
CLEAR = 1e-2  # a top-1 margin from which the greedy token has to be the same

pytestmark = [
    pytest.mark.skipif(not CASES, reason=f"no parity kit in {KIT}; set MELLOW_PARITY_KIT"),
    pytest.mark.skipif(not TOKENIZER.is_file(), reason="the bundled tokenizer is not in this checkout"),
]
each_case = pytest.mark.parametrize("case", CASES, ids=[f"case{case['case']}" for case in CASES])


@dataclass
class Kit:
    """A model on the generated weights, the original's outputs, and the clips that were heard already."""

    weights: ModuleType
    golden: dict[str, np.ndarray]
    model: Mellow
    ears: dict[int, EncodedAudio] = field(default_factory=dict)

    def golden_of(self, case: dict[str, Any], name: str) -> np.ndarray:
        """A golden array of a case, by the beginning of its name."""
        found = [key for key in self.golden if key.startswith(f"case{case['case']}.{name}")]
        assert len(found) == 1, f"{name} of case {case['case']} in {sorted(self.golden)}"
        return self.golden[found[0]]

    def encode(self, case: dict[str, Any]) -> EncodedAudio:
        """Hear the clips of a case, once."""
        if case["case"] not in self.ears:
            clips = [Clip(self.weights.waveform(case[f"audio{n}_seed"]), HTSAT.sample_rate) for n in (1, 2)]
            self.ears[case["case"]] = self.model.encode(*clips)
        return self.ears[case["case"]]

    def question(self, case: dict[str, Any]) -> np.ndarray:
        prompt = self.model.processor.prompt
        assert isinstance(prompt, PublishedPrompt)
        return self.model.engine.embed(prompt.pad(case["prompt_ids"]))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, Path]]:
    """The kit's module of weights, and the model directory that they are converted into; gone when the tests are."""
    spec = importlib.util.spec_from_file_location("parity_weights", KIT / "weights.py")
    assert spec is not None and spec.loader is not None
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    folder = tmp_path_factory.mktemp("parity")
    state = {name: torch.from_numpy(array) for name, array in weights.tensors().items()}
    torch.save(state, folder / "v0.ckpt")
    del state
    made = convert(folder / "v0.ckpt", folder / "v0")
    (folder / "v0.ckpt").unlink()
    yield weights, made
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["torch", "onnx"])
def kit(request: pytest.FixtureRequest, directory: tuple[ModuleType, Path]) -> Iterator[Kit]:
    """With torch, and as the graphs that `auto` means."""
    weights, path = directory
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MELLOW_CACHE", str(path.parent / "cache"))
        yield Kit(weights, load_file(KIT / "golden.safetensors"), mellow.load(path, engine=request.param))


def error(found: np.ndarray, golden: np.ndarray) -> float:
    assert found.shape == golden.shape
    return float(np.linalg.norm(found - golden) / np.linalg.norm(golden))


@each_case
def test_parity_of_prefix_logits_and_greedy_ids(
    kit: Kit, case: dict[str, Any], record_property: pytest.RecordProperty
) -> None:
    ear, question_LD = kit.encode(case), kit.question(case)
    prefix_LD = np.concatenate([ear.prefixes[0], question_LD])
    errors = {"prefix": error(prefix_LD, kit.golden_of(case, "prefix"))}

    logits_BV, cache = prefill(kit.model.engine, [question_LD], ear.cache)
    errors["logits"] = error(logits_BV[0], kit.golden_of(case, "first_logits"))
    for name, value in errors.items():
        record_property(f"{name}_error_case{case['case']}", value)
        print(f"case {case['case']}: {name} {value:.1e}")
    assert max(errors.values()) <= CLOSE, errors

    wanted = case["greedy_ids"]
    made = decode(kit.model.engine, logits_BV, cache, stop_ids=(), decoding=DecodingOptions(max_new_tokens=len(wanted)))
    for n, (tokens, token, margin) in enumerate(zip(made, wanted, case["greedy_top1_margin"], strict=True)):
        if tokens[0] != token:
            assert margin <= CLEAR, f"token {n} is {tokens[0]}, not {token}, and its margin was {margin}"
            break  # what follows a near-tie that fell the other way is another answer


@each_case
def test_parity_of_one_read_and_of_two(kit: Kit, case: dict[str, Any]) -> None:
    """The prompt read at once, as the original does, and behind the kept audio part."""
    ear, question_LD = kit.encode(case), kit.question(case)
    at_once_BV, _ = prefill(kit.model.engine, [np.concatenate([ear.prefixes[0], question_LD])])
    behind_BV, _ = prefill(kit.model.engine, [question_LD], ear.cache)
    assert error(behind_BV, at_once_BV) <= 1e-4


def test_parity_of_batches(kit: Kit) -> None:
    """All cases in one batch give the tokens of each case alone."""
    ears = [kit.encode(case) for case in CASES]
    prompts = [np.concatenate([ear.prefixes[0], kit.question(case)]) for ear, case in zip(ears, CASES, strict=True)]
    logits_BV, cache = prefill(kit.model.engine, prompts)
    made = decode(kit.model.engine, logits_BV, cache, stop_ids=(), decoding=DecodingOptions(max_new_tokens=2))
    for n, tokens in enumerate(made):
        for row, case in enumerate(CASES):
            assert tokens[row] == case["greedy_ids"][n] or min(case["greedy_top1_margin"][: n + 1]) <= CLEAR
