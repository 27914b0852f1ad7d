"""From tables to a trained model: a set is built, and the trainer takes its steps on it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.data.dataset.build import build_dataset
from mellow.data.dataset.recipe import DatasetRecipe
from mellow.errors import DataError
from mellow.train.recipe import Recipe
from mellow.train.run import train

Job = Callable[..., Recipe]
AQA = "file_name,QuestionText,answer,confidence\n"
CLOTHO = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"


@pytest.fixture
def built(tone: Any, tmp_path: Path) -> Path:
    """Descriptions, pairs and binary questions about four tones."""
    tables, clips = tmp_path / "tables", tmp_path / "clips/of/clotho"
    tables.mkdir()
    clips.mkdir(parents=True)
    captions, answers = CLOTHO, AQA
    for name, hertz in {"low": 200.0, "middle": 600.0, "high": 2000.0, "higher": 4000.0}.items():
        shutil.copyfile(tone(hertz, 1.5), clips / f"{name}.wav")
        captions += f"{name}.wav," + ",".join(f"A {name} tone {n}" for n in range(5)) + "\n"
        answers += "".join(f"{name}.wav,Is it low?,{answer},yes\n" for answer in ("yes", "no", "no"))
    (tables / "clotho_captions_development.csv").write_text(captions)
    (tables / "clotho_aqa_train.csv").write_text(answers)
    sources = [{"source": "clotho", "tasks": ["caption", "pairs"]}, {"source": "clotho_aqa"}]
    settings = {"output": str(tmp_path / "set"), "root": str(tables), "audio_root": str(tmp_path / "clips")}
    recipe = DatasetRecipe.model_validate(
        {**settings, "sources": sources, "absent_tables": "report", "absent_audio": "require"}
    )
    assert build_dataset(recipe)["splits"]["train"]["pairs"] == 20 + 2 + 12
    return tmp_path / "set"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train.jsonl", "reasonaqa_train.json"])
def test_two_steps_on_a_built_set(
    name: str, built: Path, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = {"examples": str(built / name), "audio_root": str(tmp_path / "clips"), "epochs": 2}
    recipe = job(data=data, run={"steps": 2, "cache": str(tmp_path / "cache")})
    with caplog.at_level(logging.INFO):
        assert (train(recipe) / "config.json").is_file()
    assert "cannot be heard" not in caplog.text
    lines = (Path(recipe.run.output) / "log.jsonl").read_text().splitlines()
    assert sum('"loss"' in line for line in lines) == 2


def test_a_set_whose_clips_are_elsewhere_is_refused_before_a_step(built: Path, job: Job, tmp_path: Path) -> None:
    recipe = job(data={"examples": str(built / "train.jsonl")}, run={"cache": str(tmp_path / "cache")})
    with pytest.raises(DataError, match="Too many clips"):
        train(recipe)
    recipe = job(data={"examples": str(built / "reasonaqa_train.json")}, run={"cache": str(tmp_path / "cache")})
    with pytest.raises(DataError, match=r"data\.audio_root"):
        train(recipe)
