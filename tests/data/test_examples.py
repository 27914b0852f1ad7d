"""What the trainer reads: examples, records and published JSON through one function."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")

from mellow.data.build import write_examples
from mellow.data.examples import read_training_examples
from mellow.data.records import Record, write_records
from mellow.data.sources import reasonaqa
from mellow.errors import DataError

A, B = "set/train/a.wav", "b.wav"
RECORDS = [
    Record("What is it?", "A dog.", (A,), ("a dog",), task="detail", subtype="Clotho-Detail.json"),
    Record("Is it?", "no", (B,), choices=("yes", "no"), task="binary", subtype="ClothoAQA.json"),
    Record(
        "explain the difference in detail", "One barks.", (A, B), ("x", "y"), task="difference", subtype="CLD-3.json"
    ),
]
EXAMPLES = [record.to_example() for record in RECORDS]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """The clip a in another folder than the records say."""
    folder = tmp_path / "clips/elsewhere"
    folder.mkdir(parents=True)
    (folder / "a.wav").touch()
    return tmp_path / "clips"


def test_records_and_examples_are_told_apart(tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", RECORDS)
    write_examples(tmp_path / "examples.jsonl", EXAMPLES)
    for name in ("records.jsonl", "examples.jsonl"):
        assert list(read_training_examples(tmp_path / name)) == EXAMPLES
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    without_id = [json.dumps({k: v for k, v in json.loads(line).items() if k != "id"}) for line in lines]
    (tmp_path / "other.jsonl").write_text("\n" + "\n".join(without_id))
    assert list(read_training_examples(tmp_path / "other.jsonl")) == EXAMPLES


@pytest.mark.parametrize("name", ["records.jsonl", "train.json"])
def test_clips_are_found_by_name_below_the_folder(name: str, tmp_path: Path, clips: Path) -> None:
    write_records(tmp_path / "records.jsonl", RECORDS)
    reasonaqa.write(tmp_path / "train.json", RECORDS)
    found = list(read_training_examples(tmp_path / name, audio_root=clips))
    assert [example.audio for example in found] == [
        ("elsewhere/a.wav",), ("b.wav",), ("elsewhere/a.wav", "b.wav"),
    ]  # fmt: skip
    assert [example.question for example in found] == [example.question for example in EXAMPLES]
    assert [example.choices for example in found] == [example.choices for example in EXAMPLES]
    assert found[2].group == "elsewhere/a.wav|b.wav"


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    """A broken line at the end does not keep the first from being read."""
    write_records(tmp_path / "records.jsonl", RECORDS)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write("{broken\n")
    rows = read_training_examples(tmp_path / "records.jsonl")
    assert next(rows) == EXAMPLES[0]
    with pytest.raises(DataError, match=r"records\.jsonl, line 4: not JSON"):
        list(rows)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jsonl", '{"question": "Q"}\n', "'answer' is missing"),
        ("x.jsonl", '{"id": "1", "question": "Q"}\n', "'answer' is missing"),
        ("x.jsonl", '{"question": "Q", "answer": "A", "colour": "red"}\n', "unknown field 'colour'"),
        ("x.jsonl", "[1]\n", "not an object"),
        ("x.json", '[{"input": "Q"}]', "the field 'taskname' is missing"),
        ("x.json", '[{"input": "Q"', "ends in the middle"),
    ],
)
def test_broken_files(name: str, content: str, words: str, tmp_path: Path, clips: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        list(read_training_examples(tmp_path / name, audio_root=clips))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        list(read_training_examples(tmp_path / "none.jsonl"))
    (tmp_path / "train.json").write_text("[]")
    with pytest.raises(DataError, match=r"name their folder as data\.audio_root"):
        list(read_training_examples(tmp_path / "train.json"))
    with pytest.raises(DataError, match="audio folder"):
        list(read_training_examples(tmp_path / "train.json", audio_root=tmp_path / "none"))
    assert list(read_training_examples(tmp_path / "train.json", audio_root=tmp_path)) == []


def test_an_empty_file_has_no_examples(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    assert list(read_training_examples(tmp_path / "x.jsonl")) == []
