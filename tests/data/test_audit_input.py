"""Any data set as records: published files and tables, anybody's questions, and broken ones told in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.audit_input import read_any
from mellow.data.records import Record, write_records
from mellow.errors import DataError

PUBLISHED = {
    "taskname": "clotho_aqa_val",
    "filepath1": "ClothoAQA\\audio_files\\a b.wav",
    "filepath2": "",
    "caption1": "",
    "caption2": "",
    "input": "Are these animals outside? Answer only using yes or no.",
    "answer": "no",
    "subtype": "ClothoAQA.json",
}
OPEN = {
    "instruction": "What is heard?",
    "input": "",
    "dataset": "as_20k",
    "audio_id": "x/y.flac",
    "output": "A dog barks.",
}


def test_our_records_come_back(tmp_path: Path) -> None:
    rows = [Record("What is it?", "A dog.", ("a.wav",), ("A dog barks",), task="detail", provenance={"type": "1"})]
    write_records(tmp_path / "rows.jsonl", rows)
    assert list(read_any(tmp_path / "rows.jsonl")) == rows


def test_published_reasonaqa(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    pair = {
        **PUBLISHED,
        "filepath2": "b.wav",
        "caption1": "A",
        "caption2": "B",
        "answer": "One rises.",
        "subtype": "ACD-1.json",
    }
    path.write_text(json.dumps([PUBLISHED, {**PUBLISHED, "answer": ""}, pair], indent=1))
    one, two = read_any(path)
    assert (one.audio, one.choices, one.answer, one.task) == (
        ("ClothoAQA/audio_files/a b.wav",),
        ("yes", "no"),
        "no",
        "binary",
    )
    assert (one.split, one.source, one.subtype) == ("val", "clotho_aqa_val", "ClothoAQA.json")
    assert (two.task, two.captions, two.audio[1], two.provenance) == (
        "difference",
        ("A", "B"),
        "b.wav",
        {"file": "val.json", "row": 3},
    )


def test_openaqa_and_foreign_lines(tmp_path: Path) -> None:
    (tmp_path / "open.json").write_text(json.dumps([OPEN, {**OPEN, "output": "Yes."}]))
    (tmp_path / "open.jsonl").write_text("\n".join(json.dumps(row) for row in [OPEN, OPEN]))
    rows = list(read_any(tmp_path))
    assert len(rows) == 4
    assert {(row.question, row.source, row.audio) for row in rows} == {("What is heard?", "as_20k", ("x/y.flac",))}
    assert rows[0].task == "other" and rows[0].answer == "A dog barks."


def test_a_table_of_anybody(tmp_path: Path) -> None:
    path = tmp_path / "mine_test.csv"
    path.write_text(
        "\ufeffquestion,answer,choices,audio,split\n"
        '"Which, then?","a cow","a dog|a cow",x.wav,train\n"On\ntwo lines?",yes,,y.wav,\n',
        encoding="utf-8",
    )
    one, two = read_any(path)
    assert (one.choices, one.task, one.split) == (("a dog", "a cow"), "mcq", "train")
    assert (two.question, two.task, two.split) == ("On\ntwo lines?", "binary", "test")


def test_tables_of_entailment_and_difference(tmp_path: Path) -> None:
    (tmp_path / "clotho_entailment_development.csv").write_text(
        "Dataset,Audio file,Caption,Entailment,Neutral,Contradiction\n"
        'ClothoV2,a.wav,"[\'A dog barks\', ""It\'s a dog""]",A dog is there.,The dog is angry.,It is silent.\n'
    )
    (tmp_path / "acd_val_adiff_detail_answer.csv").write_text(
        "taskname,filepath1,filepath2,caption1,caption2,input,answer\naudiocaps,v/a.wav,v/b.wav,A,B,explain,Longer.\n"
    )
    (tmp_path / "notes.csv").write_text("note\nnothing\n")
    difference, *entailment = read_any(tmp_path)
    assert (difference.subtype, difference.split, difference.task) == ("ACD-3.json", "val", "difference")
    assert [row.answer for row in entailment] == ["It is definitely true", "It is definitely false", "It is plausible"]
    assert entailment[0].captions == ("A dog barks", "It's a dog")
    assert all(row.split == "train" and row.source == "clotho" for row in entailment)
    assert 'hypothesis - "The dog is angry."? a) It is definitely true b)' in entailment[2].question


def test_examples_of_composed_scenes(tmp_path: Path) -> None:
    example = {"question": "Which is louder?", "answer": "the first", "audio": ["a.flac", "b.flac"], "group": "a|b"}
    example |= {"task": "compare", "choices": ["the first", "the second"]}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(example))
    (row,) = read_any(path)
    assert (row.audio, row.task, row.subtype, row.split) == (("a.flac", "b.flac"), "mcq", "compare", "train")
    path.write_text(json.dumps({**example, "audio": ["a", "b", "c"]}))
    with pytest.raises(DataError, match="row 1: 3 clips; at most 2"):
        list(read_any(path))


def test_a_long_list_is_read_in_parts(tmp_path: Path) -> None:
    rows = [{**OPEN, "instruction": f'What is sound {n} [like] in {{this}}, ä"?'} for n in range(20_000)]
    (tmp_path / "long.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert [row.question for row in read_any(tmp_path / "long.json")] == [row["instruction"] for row in rows]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'[{"question": "q", "answer": "a"}, {"question"', "a.json is broken behind row 1"),
        ("a.json", b'{"a": 1}', "is broken behind row 0"),
        ("a.csv", "question,answer\nä,b\n".encode("latin-1"), "not UTF-8 text"),
        ("a.csv", b'question,answer\n"a,b\n', "a.csv is broken behind row 0"),
        ("a.csv", b"caption\na\n", "has no questions"),
        ("a.txt", b"x", "no .jsonl, .json or .csv file"),
        ("a.jsonl", b'{"question": "q", "answer": "a"}\n{"question": "q"}\n', "line 2: the field 'answer' is missing"),
        ("a.jsonl", b'{"input": "q", "output": "a"}\n{', "broken behind row 1"),
        ("a.json", b"[]", "has no questions"),
        ("a.jsonl", b"[" * 100_000, "broken behind row 0"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        list(read_any(tmp_path / name))


def test_absent_and_empty_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data set"):
        list(read_any(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"has no \.jsonl, \.json or \.csv files"):
        list(read_any(tmp_path))


def test_the_sample_of_published_rows(shared: Callable[[str], Path]) -> None:
    rows = list(read_any(shared("text/samples/reasonaqa_published_rows.json")))
    assert [(row.task, row.split, len(row.audio)) for row in rows] == [
        ("difference", "test", 2),
        ("binary", "train", 1),
        ("binary", "train", 1),
    ]
