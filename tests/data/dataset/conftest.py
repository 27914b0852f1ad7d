"""A small world of published tables, synthetic pairs and clips, and recipes on it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mellow.data.dataset.build import build_dataset
from mellow.data.dataset.recipe import DatasetRecipe
from mellow.data.records import Record, read_records, write_records

SOURCES = [{"source": name} for name in ("clotho", "audiocaps", "clotho_aqa", "entailment", "difference")]
CLOTHO = {"development": ["a", "b", "c"], "validation": ["d", "e"], "evaluation": ["f", "g"]}
AUDIOCAPS = {"train": ["t1", "t2"], "val": ["v1"], "test": ["e1"]}
Build = Callable[..., dict[str, Any]]


def write_csv(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def youtube(name: str) -> str:
    return f"{name:_<11}"


def write_tables(root: Path) -> None:
    for split, names in CLOTHO.items():
        rows = [[f"{name}.wav", *(f"caption {n} of {name}" for n in range(5))] for name in names]
        header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5"
        write_csv(root / f"clotho/clotho_captions_{split}.csv", header, rows)
        captions = [str([f"caption {n} of {name}" for n in range(5)]) for name in names]
        hypotheses = [
            ["ClothoV2", f"{name}.wav", text, "so it is", "may be", "no"]
            for name, text in zip(names, captions, strict=True)
        ]
        header = "Dataset,Audio file,Caption,Entailment,Neutral,Contradiction"
        write_csv(root / f"entailment/clotho_entailment_{split}.csv", header, hypotheses)
    number = 0
    for split, names in AUDIOCAPS.items():
        rows = []
        for name in names:
            for n in range(1 if split == "train" else 5):
                number += 1
                rows.append([number, youtube(name), 0, f"{name} says {n}"])
        write_csv(root / f"audiocaps/{split}.csv", "audiocap_id,youtube_id,start_time,caption", rows)
    answers = [["a.wav", "Is it?", answer, "yes"] for answer in ("yes", "no", "yes")]
    write_csv(root / "clotho_aqa_train.csv", "file_name,QuestionText,answer,confidence", answers)
    answers = [["b.wav", "Is it?", answer, "yes"] for answer in ("yes", "yes", "yes")]  # b is in Clotho's development
    write_csv(root / "clotho_aqa_test.csv", "file_name,QuestionText,answer,confidence", answers)
    pair = [f"AudioCapsLarger/val/Y{youtube('v1')}.wav"] * 2
    rows = [
        ["audiocaps", *pair, "one", "two", "explain the difference in detail", f"At {n} Hz." if n else "No."]
        for n in range(3)
    ]
    header = "taskname,filepath1,filepath2,caption1,caption2,input,answer"
    write_csv(root / "difference/acd_val_adiff_detail_answer.csv", header, rows)


def synthetic() -> list[Record]:
    """Two pairs of each type about clip a, one question being asked by two types; and one that refuses."""
    asked = {"1": ("What barks?", "What falls?"), "2": ("what  BARKS?", "Who speaks?"), "3": ("Why?", "Where is it?")}
    by: dict[str, str | int] = {"llm": "Tiny LM", "revision": "r1", "prompt": "general", "prompt_version": 2}
    made = []
    for kind, questions in asked.items():
        for number, question in enumerate(questions):
            made.append(
                Record(
                    question, f"The answer {kind} {number} is about a dog.", ("ClothoV21/development/a.wav",),
                    ("a dog barks",), task="detail", subtype="Clotho-Detail.json", source="clotho", licence="CC",
                    provenance={"type": int(kind), **by},
                )
            )  # fmt: skip
    refusal = "I'm sorry, but as an AI language model I cannot listen to the audio."
    return [
        *made,
        Record(
            "What is it like?",
            refusal,
            made[0].audio,
            made[0].captions,
            task="detail",
            subtype="Clotho-Detail.json",
            source="clotho",
            provenance={"type": 1},
        ),
    ]


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables as published, and `synthesis/pairs.jsonl`. Do not change them."""
    root = tmp_path_factory.mktemp("tables")
    write_tables(root)
    (root / "synthesis").mkdir()
    write_records(root / "synthesis/pairs.jsonl", synthetic())
    return root


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips a, b, c and d of Clotho, a second of noise each but for a with 12 s; d is a copy of c."""
    root = tmp_path_factory.mktemp("clips")
    for number, name in enumerate("abc"):
        noise_S = 0.1 * np.random.default_rng(number).standard_normal(8000 * (12 if name == "a" else 1))
        soundfile.write(root / f"{name}.wav", noise_S, 8000)
    (root / "d.wav").write_bytes((root / "c.wav").read_bytes())
    return root


@pytest.fixture
def recipe(tables: Path, tmp_path: Path) -> Callable[..., DatasetRecipe]:
    """A recipe on the tables, with settings of its own; absent tables are reported."""

    def make(**settings: Any) -> DatasetRecipe:
        plain = {"output": str(tmp_path / "out"), "root": str(tables), "sources": SOURCES, "absent_tables": "report"}
        return DatasetRecipe.model_validate({**plain, **settings})

    return make


@pytest.fixture
def build(recipe: Callable[..., DatasetRecipe]) -> Build:
    return lambda **settings: build_dataset(recipe(**settings))


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[Record]]:
    """The records of a split that was built; none where it has no file."""

    def read(split: str, folder: str = "out") -> list[Record]:
        path = tmp_path / folder / f"{split}.jsonl"
        return list(read_records(path)) if path.exists() else []

    return read


@pytest.fixture
def left_out(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in (tmp_path / "out/left_out.jsonl").read_text().splitlines()]
