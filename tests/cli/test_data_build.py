"""`mellow data build`: what it prints, what it writes, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for package in ("pydantic", "sklearn", "yaml"):
    pytest.importorskip(package)

AQA = "file_name,QuestionText,answer,confidence\nx.wav,Is it?,yes,yes\nx.wav,Is it?,no,yes\nx.wav,Is it?,yes,yes\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/clotho_aqa_train.csv").write_text(AQA)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"output: {tmp_path}/out\nroot: {tmp_path}/tables\nabsent_tables: report\nsources: [{{source: clotho_aqa}}]\n"
    )
    return path


def test_a_build(run: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    result = run("data", "build", recipe)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "ClothoAQA 3 (14088) 0 (4128) 0 (5676)" in lines
    assert f"Wrote 3 pairs in train to {tmp_path}/out; report.md says what is in it and what was left out." in lines
    assert "2 tables are not here" in result.stderr
    names = {"train.jsonl", "reasonaqa_train.json", "clips_train.txt", "left_out.jsonl"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "report.json", "report.md", "card.md"}


def test_quiet_and_other_folders(run: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").rename(tmp_path / "moved")
    result = run("data", "build", recipe, "--root", tmp_path / "moved", "--output", tmp_path / "new", "--quiet")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    assert (tmp_path / "new/report.md").is_file()


def test_refusals(run: Callable[..., Any], refusal: Callable[..., str], recipe: Path, tmp_path: Path) -> None:
    assert "There is no recipe" in refusal("data", "build", tmp_path / "none.yaml")
    assert "audio folder" in refusal("data", "build", recipe, "--audio-root", tmp_path / "none")
    assert "is not there" in refusal("data", "build", recipe, "--root", tmp_path / "none")
    assert run("data", "build", recipe).exit_code == 0
    assert "exists already" in refusal("data", "build", recipe, "--quiet")
