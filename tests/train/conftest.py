"""A training job of a few seconds: tones, questions about them, and a recipe on the tiny model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.train.recipe import ModelRecipe, Recipe

TONES = {"low": 200.0, "middle": 600.0, "high": 2000.0, "higher": 4000.0}
Job = Callable[..., Recipe]


@pytest.fixture(scope="session")
def examples(tone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train.jsonl` with four clips in `audio/`, open and closed questions, pairs, and words without audio."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "audio").mkdir()
    rows: list[dict[str, Any]] = []
    for name, hertz in TONES.items():
        clip = f"audio/{name}.wav"
        shutil.copyfile(tone(hertz, 1.5), folder / clip)
        rows += [
            {"question": "How high is it?", "answer": f"It is {name}.", "audio": [clip], "task": "identify"},
            {"question": "Which?", "answer": name, "audio": [clip], "choices": list(TONES), "task": "identify"},
            {"question": "Is it a dog?", "answer": "no", "audio": [clip], "choices": ["yes", "no"], "task": "yesno"},
        ]
    rows.append({"question": "Which is higher?", "answer": "2", "audio": ["audio/low.wav", "audio/high.wav"]})
    rows.append({"question": "Is it an animal?", "answer": "yes", "heard": ["dog", "bark"], "group": "words"})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "train.jsonl"


@pytest.fixture
def job(examples: Path, tiny_recipe: ModelRecipe, tmp_path: Path) -> Job:
    """A recipe on these examples; settings by section, as in `job(run={"steps": 3})`. Outputs are new for each name."""

    def make(name: str = "out", **sections: dict[str, Any]) -> Recipe:
        settings: dict[str, dict[str, Any]] = {
            "data": {"examples": str(examples), "epochs": 20, "tokens_per_row": 160, "rows_per_batch": 2},
            "optimizer": {"learning_rate": 1e-2, "mapper_learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1},
            "run": {
                "output": str(tmp_path / name),
                "cache": str(examples.parent / "cache"),
                "steps": 5,
                "save_steps": 1000,
                "log_steps": 1,
                "bfloat16": False,
            },
        }
        settings = {section: {**found, **sections.get(section, {})} for section, found in settings.items()}
        return Recipe.model_validate({**settings, "model": tiny_recipe})

    return make
