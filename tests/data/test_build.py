"""The example files: written whole, read with care, balanced, and silent about their answers."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from mellow.data.build import balanced, build, read_examples, split_vocabulary, write_examples
from mellow.data.control import text_only_control
from mellow.data.scenes.composition import write_composition
from mellow.data.scenes.labels import Labelling
from mellow.data.scenes.scene import Scene
from mellow.data.tasks import examples_for_scene
from mellow.errors import DataError
from mellow.types import Example

from .conftest import HELD_OUT
from .tasks_scenes import SOUNDS, event, many, scene

ROW = Example("What is it?", "A dog.", audio=("audio/a.flac",), task="identify", group="a")
CLOSED = Example("Which? a) x b) y", "y", audio=("audio/a.flac",), choices=("x", "y"), task="choices", group="a")


def write_scenes(folder: Path, scenes: list[Scene]) -> None:
    lines = [json.dumps({**asdict(s), "audio": f"audio/{s.name}.flac"}) + "\n" for s in scenes]
    (folder / "scenes.jsonl").write_text("".join(lines))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    held_out = many(20, seed=2, split="held_out", keys=tuple(sorted(HELD_OUT)))
    write_scenes(folder, [*many(120), *many(30, seed=1, split="development"), *held_out])
    write_composition(folder, Labelling(held_out=HELD_OUT), seed=3)
    build(folder, per_scene=6, pairs=0.25, word_only=100, seed=3)
    return folder


def test_files_hold_rows_of_their_split(built: Path) -> None:
    for split in ("train", "development", "held_out"):
        rows = list(read_examples(built / f"{split}.jsonl"))
        assert len(rows) > 30
        assert all(name.startswith(f"audio/{split}-") for row in rows for name in row.audio)
        assert any(len(row.audio) == 2 for row in rows)
        assert (len([row for row in rows if row.heard]) > 80) == (split == "train")


def test_rows_of_a_group_stand_together(built: Path) -> None:
    groups = [row.group for row in read_examples(built / "train.jsonl")]
    changes = 1 + sum(one != two for one, two in pairwise(groups))
    assert changes == len(set(groups))


def test_empty_fields_are_left_out(built: Path) -> None:
    for line in (built / "train.jsonl").read_text().splitlines():
        assert all(json.loads(line).values())


def test_report(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    rows = list(read_examples(built / "train.jsonl"))
    assert report["train"]["rows"] == len(rows)
    counts = Counter(row.task for row in rows)
    assert {task: numbers["rows"] for task, numbers in report["train"]["tasks"].items()} == dict(counts)
    places = report["train"]["tasks"]["choices"]["places"]["4"]
    assert len(places) == 4 and sum(places) == pytest.approx(1.0, abs=0.01)


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    write_scenes(tmp_path, many(15))
    files = []
    for seed in (1, 1, 2):
        build(tmp_path, per_scene=3, word_only=5, seed=seed)
        files.append((tmp_path / "train.jsonl").read_text())
    assert files[0] == files[1] != files[2]
    assert not list(tmp_path.glob(".*"))


def test_held_out_sounds_in_training_scenes_are_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path, [scene(event(min(HELD_OUT), 0.0))])
    build(tmp_path)  # nothing says that it is held out
    write_composition(tmp_path, Labelling(held_out=HELD_OUT), seed=1)
    with pytest.raises(DataError, match=f"train-000001.*{min(HELD_OUT)}"):
        build(tmp_path)


def test_unknown_splits_are_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path, [scene(event("dog", 0.0), name="test-000001")])
    with pytest.raises(DataError, match="'test'"):
        build(tmp_path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [ROW, CLOSED, Example("Is it a dog?", "yes", choices=("yes", "no"), task="practice", heard=("dog", "cat"))]
    write_examples(tmp_path / "rows.jsonl", rows)
    assert list(read_examples(tmp_path / "rows.jsonl")) == rows


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("[]", "line 2: not an object"),
        ('{"question": "q"}', "line 2: the field 'answer' is missing"),
        ('{"question": "", "answer": "a"}', "line 2: the field 'question' is missing or empty"),
        ('{"question": 3, "answer": "a"}', "line 2: the field 'question' is no text"),
        ('{"question": "q", "answer": "a", "audio": "x"}', "line 2: the field 'audio' is no list"),
        ('{"question": "q", "answer": "a", "heard": [1]}', "line 2: the field 'heard' is no list"),
        ('{"question": "q", "answer": "a", "choices": ["b"]}', "line 2: the field 'answer' is none of 'choices'"),
        ('{"question": "q", "answer": "a", "audio": ["x", "y", "z"]}', "line 2: the field 'audio' has 3 clips"),
        ('{"question": "q", "answer": "a", "colour": "x"}', "line 2: unknown field 'colour'"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"question": "q", "answer": "a"}}\n{line}\n')
    with pytest.raises(DataError, match=words):
        list(read_examples(path))


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone"):
        list(read_examples(tmp_path / "gone.jsonl"))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_examples(tmp_path / "binary.jsonl"))


def test_balanced_drops_the_answer_that_prevails() -> None:
    rows = [Example(f"{n}?", "yes" if n % 4 else "no", choices=("yes", "no"), task="yesno") for n in range(400)]
    kept = Counter(row.answer for row in balanced([*rows, ROW], random.Random(0)))
    assert kept["no"] == 100 and kept["yes"] <= 110
    assert kept[ROW.answer] == 1


def _closed(number: int, leak: bool, rng: random.Random) -> Example:
    options = rng.sample(SOUNDS[:12] if leak else SOUNDS, 4)
    answer = rng.choice(options)
    if leak:
        answer = "dog"
        options = [*[o for o in options if o != answer][:3], answer]
        rng.shuffle(options)
    name = f"s{number}"
    return Example(f"Which? {options}", answer, (f"audio/{name}.flac",), tuple(options), "choices", name)


def test_control_finds_a_planted_leak_and_nothing_else() -> None:
    rng = random.Random(0)
    clean = text_only_control([_closed(n, False, rng) for n in range(1500)], 0)["choices"]
    leaky = text_only_control([_closed(n, True, rng) for n in range(500)], 0)["choices"]
    assert clean.chance == leaky.chance == 0.25
    assert abs(clean.accuracy - 0.25) < 0.07
    assert leaky.accuracy > 0.95


def test_control_finds_a_leak_in_the_question() -> None:
    rows = [
        Example(
            "Is it loud?" if n % 2 else "Is it soft?",
            "yes" if n % 2 else "no",
            (f"audio/{n}.flac",),
            ("yes", "no"),
            "yesno",
        )
        for n in range(300)
    ]
    assert text_only_control(rows, 0)["yesno"].by_label == 1.0


def test_questions_do_not_give_their_answers_away() -> None:
    """The families where the wrong options are drawn, or both answers are made equally likely, on real generators."""
    scenes, rng = many(600, seed=9), random.Random(0)
    words = split_vocabulary(scenes, "train")
    rows = [e for s in scenes for e in examples_for_scene(s, rng, count=8, vocabulary=words)]
    control = text_only_control(balanced(rows, rng), 0)
    for task in ("choices", "yesno", "entailment"):
        row = control[task]
        assert row.accuracy < row.chance + (0.16 if task == "entailment" else 0.09), (task, row)
