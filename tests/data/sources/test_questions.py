"""ClothoAQA, entailment, difference and OpenAQA: records, counts, and every row accounted for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mellow.data.sources import clotho_aqa, difference, entailment, openaqa
from mellow.data.sources.report import SourceReport
from mellow.data.sources.spec import paper_counts, sources

AQA = "file_name,QuestionText,answer,confidence\n"
ENTAILMENT = "Dataset,Audio file,Caption,Entailment,Neutral,Contradiction\n"
DIFFERENCE = "taskname,filepath1,filepath2,caption1,caption2,input,answer\n"


# --- ClothoAQA --------------------------------------------------------------------------------------------------------


def test_the_head_of_clotho_aqa_validation(shared: Any) -> None:
    """60 rows: 14 yes/no questions with three answers each; on six of them the annotators disagree."""
    report = SourceReport()
    made = list(clotho_aqa.read(shared("text/samples/clotho_aqa_val_head.csv"), report=report))
    assert report.to_dict() == {
        "rows": 60,
        "kept": 42,
        "left_out": {"neither yes nor no": 18},
        "noted": {"answer to a question with both yes and no": 18},
        "audio_present": 0,
        "audio_absent": 0,
        "hours": 0.0,
        "hours_by_10_s": 0.0,
    }
    conflicting = [record for record in made if record.question.startswith("Is everyone outside?")]
    assert [record.answer for record in conflicting] == ["no", "yes", "no"]
    assert conflicting[1].provenance["annotator"] == 2
    assert conflicting[1].provenance["confidence"] == "maybe"
    assert conflicting[1].audio == ("ClothoAQA/audio_files/Munich Cathedral.wav",)
    assert conflicting[1].question == "Is everyone outside? Answer only using yes or no."


def test_unusual_answers_to_clotho_aqa(put: Any) -> None:
    rows = "x.wav,Is it?,Yes ,yes\nx.wav,Is it?,NO,no\ny.wav,What?,yes,Yes\ny.wav,What?,dog,Yes\ny.wav,What?,,Yes\n"
    report = SourceReport()
    made = list(clotho_aqa.read(put("clotho_aqa_test.csv", AQA + rows), report=report))
    assert [record.answer for record in made] == ["yes", "no", "yes"]
    assert report.left_out == {"neither yes nor no": 2}
    assert report.noted["question without 3 answers"] == 1
    assert report.noted["answer to a question with both yes and no"] == 2


# --- entailment and difference ----------------------------------------------------------------------------------------

REAL = [(table.file, name) for name in ("entailment", "difference") for table in sources()[name].tables]


@pytest.mark.parametrize(("file", "name"), REAL)
def test_counts_of_the_published_tables(shared: Any, file: str, name: str) -> None:
    """Rows, records, clips and checksums are those that the table of sources says."""
    from mellow.files import sha256

    path = shared(f"text/{name}/{file}")
    table = next(table for table in sources()[name].tables if table.file == file)
    report = SourceReport()
    reader = {"entailment": entailment.read, "difference": difference.read}[name]
    records = list(reader(path, report=report))
    assert report.rows == table.rows
    assert len(records) == report.kept == (table.kept or table.rows)
    assert report.left_out.total() == 0
    assert len({clip for record in records for clip in record.audio}) == table.clips
    assert {record.split for record in records} == {table.split}
    assert sha256(path) == table.sha256


def test_tables_against_table_1_of_the_paper(shared: Any) -> None:
    """Where our counts differ from the paper's, it is for the reason that is written beside them."""
    paper = paper_counts()
    for part, split, misnamed in (("development", "train", 2), ("validation", "val", 1), ("evaluation", "test", 0)):
        report = SourceReport()
        path = shared(f"text/entailment/clotho_entailment_{part}.csv")
        assert len(list(entailment.read(path, keep_misnamed=False, report=report))) == paper["CLE.json"].pairs[split]
        assert report.left_out["misnamed clip"] == misnamed
    ace = list(entailment.read(shared("text/entailment/audiocaps_entailment_test.csv")))
    assert len(ace) - paper["ACE.json"].pairs["test"] == 15 * (975 - paper["ACE.json"].clips["test"])
    acd = list(difference.read(shared("text/difference/acd_val_adiff_detail_answer.csv")))
    assert 3 * len(acd) == paper["ACD"].pairs["val"]
    assert len({clip for record in acd for clip in record.audio}) == paper["AudioCaps.json"].clips["val"]
    hertz = [record for record in acd if "Hz" in record.answer]
    assert len(hertz) == 485


def test_classes_of_entailment(shared: Any) -> None:
    records = list(entailment.read(shared("text/entailment/clotho_entailment_validation.csv")))
    answers = Counter((record.provenance["label"], record.answer) for record in records)
    assert answers == {
        ("entailment", "It is definitely true"): 1045,
        ("neutral", "It is plausible"): 1045,
        ("contradiction", "It is definitely false"): 1045,
    }
    assert {len(record.captions) for record in records} == {5}
    assert records[0].question.startswith('Based on the audio, what can be said about the hypothesis - "A person is')


def test_clips_compared_with_themselves_are_noted(shared: Any) -> None:
    report = SourceReport()
    list(difference.read(shared("text/difference/acd_test_adiff_fewwords_answer.csv"), report=report))
    assert report.noted == {"clip compared with itself": 7}


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("explain the difference in few words", 1),
        ("explain the difference in a sentence", 2),
        ("Explain the difference in one extended sentence.", 2),
        ("explain the difference in detail", 3),
    ],
)
def test_tiers_by_input(put: Any, text: str, tier: int) -> None:
    path = put("cld_validation.csv", f"{DIFFERENCE}clothov21,a.wav,b.wav,x,y,{text},z\n")
    (record,) = difference.read(path)
    assert (record.subtype, record.question, record.task) == (f"CLD-{tier}.json", text, "difference")


def test_empty_answers_and_hypotheses_are_counted(put: Any) -> None:
    report = SourceReport()
    path = put("acd_val.csv", f"{DIFFERENCE}audiocaps,a,b,x,y,explain the difference in detail,\n")
    assert list(difference.read(path, report=report)) == []
    assert report.left_out == {"empty answer": 1}
    path = put("clotho_entailment_validation.csv", f"{ENTAILMENT}ClothoV2,x.wav,\"['a']\",b, ,c\n")
    assert len(list(entailment.read(path, report=report))) == 2
    assert report.left_out == {"empty answer": 1, "empty hypothesis": 1}
    assert report.rows == 2


@pytest.mark.parametrize(
    ("reader", "content", "sentence"),
    [
        (difference, f"{DIFFERENCE}audiocaps,a,b,x,y,say more,z\n", "line 2: the input 'say more' names no tier; use"),
        (difference, f"{DIFFERENCE}esc,a,b,x,y,explain the difference in detail,z\n", "line 2: the taskname 'esc' is"),
        (entailment, f"{ENTAILMENT}ESC,a.wav,x,a,b,c\n", "line 2: the data set 'ESC' is unknown; use ClothoV2 or"),
        (entailment, f"{ENTAILMENT}ClothoV2,a.wav,\"['a', \",a,b,c\n", "line 2: \"['a', \"... begins like a list of"),
        (entailment, f"{ENTAILMENT}ClothoV2,../a.wav,x,a,b,c\n", "line 2: the audio path '../a.wav' leads out of"),
        (entailment, "a,b\n", "line 1: the column 'Dataset' is missing; found 'a', 'b'."),
    ],
)  # fmt: skip
def test_broken_rows(put: Any, fails: Any, reader: Any, content: str, sentence: str) -> None:
    assert fails(reader.read(put("x_val.csv", content))).startswith(f"x_val.csv, {sentence}")


# --- OpenAQA ----------------------------------------------------------------------------------------------------------


def test_openaqa(put: Any) -> None:
    rows = [
        {
            "instruction": "What is heard?",
            "input": "",
            "audio_id": "/data/sls/audio/LZq4Neh-oWU.flac",
            "dataset": "as_strong_train",
            "task": "open-ended question",
            "output": "A dog.",
        },
        {"instruction": "Describe it.", "audio_id": "a.wav", "output": "Rain.", "task": "caption", "input": "so sad"},
        {"instruction": "x", "audio_id": "", "output": "y"},
        {"instruction": " ", "audio_id": "a", "output": "y"},
        {"instruction": "x", "audio_id": "a", "output": ""},
    ]
    report = SourceReport()
    made = list(openaqa.read(put("open_ended.json", json.dumps(rows)), report=report))
    assert [(record.task, record.source, record.audio) for record in made] == [
        ("detail", "as_strong_train", ("data/sls/audio/LZq4Neh-oWU.flac",)),
        ("caption", "openaqa", ("a.wav",)),
        ("other", "openaqa", ()),
    ]
    assert made[1].question == "Describe it.\nso sad"
    assert report.left_out == {"empty question": 1, "empty answer": 1}
    assert report.noted == {"no clip named": 1}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"instruction": "x", "output": "y"},
            "the field 'audio_id' is missing; a row has instruction,",
        ),
        (
            {"instruction": "x", "output": 3, "audio_id": "a"},
            "the field 'output' is not a text; a row has",
        ),
        ({"instruction": "x", "output": "y", "audio_id": "a", "task": 7}, "the field 'task' is not a text."),
    ],
)
def test_broken_openaqa(put: Any, fails: Any, row: dict[str, Any], sentence: str) -> None:
    assert fails(openaqa.read(put("x.json", json.dumps([row])))).startswith(f"x.json, line 1: {sentence}")


def test_readers_are_lazy(shared: Any, tmp_path: Path) -> None:
    """The first record comes before a broken row behind it is looked at."""
    source = shared("text/difference/acd_val_adiff_detail_answer.csv").read_text(encoding="utf-8")
    (tmp_path / "acd_val.csv").write_text(source + "broken\n", encoding="utf-8")
    assert next(difference.read(tmp_path / "acd_val.csv")).subtype == "ACD-3.json"
