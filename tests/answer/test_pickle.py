"""A loaded model can be sent to worker processes: it is loaded there by its name, with the same arguments."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mellow
from mellow.answer.choose import ChoiceRule
from mellow.answer.facade import Mellow
from mellow.processor import ClipPolicy

CHOICES = ("dog", "rain", "siren")


def test_a_worker_process_answers_the_same(tiny_model_dir: Path, tone: Any) -> None:
    model = mellow.load(tiny_model_dir, dtype="fp32", threads=1)
    expected = model.ask(tone(), "What?", choices=CHOICES)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(model.ask, tone(), "What?", choices=CHOICES).result()
    assert (found.text, found.probabilities) == (expected.text, expected.probabilities)


def test_arguments_and_rule_come_along(tiny_model_dir: Path) -> None:
    policy = ClipPolicy("repeat", "center")
    model = mellow.load(tiny_model_dir, dtype="fp32", policy=policy)
    model.rule = ChoiceRule(prior_weight=0.25)
    content = pickle.dumps(model)
    assert len(content) < 2000, "no weights"
    again = pickle.loads(content)
    assert (again.rule, again.name) == (model.rule, model.name)
    assert again.processor.policy == policy
    assert pickle.loads(pickle.dumps(again)).rule == model.rule


def test_what_cannot_be_sent_is_told_in_a_sentence(tiny: Mellow, tone: Any) -> None:
    with pytest.raises(pickle.PicklingError, match=r"^Encoded audio cannot be pickled; .*\.$"):
        pickle.dumps(tiny.encode(tone()))
    with pytest.raises(pickle.PicklingError, match=r"^A model that mellow.load did not make .*\.$"):
        pickle.dumps(replace(tiny, name="other"))
