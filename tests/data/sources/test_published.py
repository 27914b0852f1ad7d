"""Published ReasonAQA rows: to records and back, records to rows and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellow.data.records import Record, Split, read_records, write_records
from mellow.data.sources import difference, entailment, reasonaqa
from mellow.data.sources.published import (
    FIELDS,
    LABELS,
    entailment_question,
    from_published,
    letters,
    listed_texts,
    subtype_task,
    to_published,
    yes_no_question,
)
from mellow.data.sources.report import SourceReport
from mellow.data.sources.spec import paper_counts
from mellow.errors import DataError

SUBTYPES = [file for row in paper_counts().values() for file in row.files]


def record_of(row: dict[str, str], split: Split = "train") -> Record:
    return from_published(row, split=split, where="here", provenance={})


# --- rows to records to rows --------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ANSWERS = st.sampled_from(["", "yes", "no", "b) dog", "B) Dog.", "(a) cat", "b", "c) none", "cat"]) | TEXT
INPUTS = st.sampled_from(
    [
        "",
        "What barks? a) cat b) dog",
        "What barks? A) Cat B) Dog",
        "caption first audio",
        "caption second audio",
        "caption both audios",
        "explain the difference in a sentence",
        entailment_question("A dog barks"),
        yes_no_question("Is it a dog?"),
    ]
)
PATHS = st.sampled_from(["", "ClothoAQA\\audio_files\\a b.wav", "/data/x.wav", "C:\\x.wav", "a/b.wav", "a\\b/c.wav"])
CAPTIONS = st.sampled_from(["", "a dog barks", "['a', 'b']", '["it\'s"]', "[music] plays"]) | TEXT.filter(
    lambda text: not text.startswith("[")
)
ROWS = st.fixed_dictionaries(
    {
        "taskname": st.sampled_from(["audiocaps", "clothov21", "clotho_aqa_train", "clotho_aqa_val", "other", ""]),
        "filepath1": PATHS,
        "filepath2": PATHS,
        "caption1": CAPTIONS,
        "caption2": CAPTIONS,
        "input": INPUTS | TEXT,
        "answer": ANSWERS,
        "subtype": st.sampled_from([*SUBTYPES, "new.json", ""]),
    },
    optional={"extra": TEXT},
)


@given(ROWS)
def test_any_row_comes_back_as_it_was(row: dict[str, str]) -> None:
    record = record_of(row)
    assert to_published(record) == row
    assert not record.choices or record.answer in record.choices
    assert all("\\" not in path and not path.startswith("/") for path in record.audio)


@given(ROWS)
def test_a_row_survives_our_jsonl(row: dict[str, str]) -> None:
    record = record_of(row)
    if record.question and record.answer:
        assert Record.from_json(record.to_json(), where="here") == record


def test_the_published_sample(shared: Any, tmp_path: Path) -> None:
    path = shared("text/samples/reasonaqa_published_rows.json")
    report = SourceReport()
    records = list(reasonaqa.read(path, split="train", report=report))
    assert [(record.task, record.subtype, record.answer) for record in records][1:] == [
        ("binary", "ClothoAQA.json", "no"),
        ("binary", "ClothoAQA.json", "yes"),
    ]
    assert records[1].audio == ("ClothoAQA/audio_files/AmbianceBackyard_Quiet_bip.wav",)
    assert len(records[0].audio) == len(records[0].captions) == 2
    assert all(not any(name.startswith("published.") for name in record.provenance) for record in records)
    assert reasonaqa.write(tmp_path / "again.json", records) == 3
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())
    assert report.to_dict()["kept"] == 3


# --- records to rows to records -----------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("abcdefghijklm 'é,"), min_size=1, max_size=20).map(str.strip).filter(bool)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Records of the published subtypes as we build them."""
    subtype = draw(st.sampled_from(SUBTYPES))
    task = subtype_task(subtype)
    source = "audiocaps" if subtype.startswith("A") else "clotho"
    clips = 2 if task == "difference" else 1
    captions = tuple(draw(st.lists(WORDS, min_size=clips, max_size=clips if clips == 2 else 5)))
    audio = tuple(f"folder/{draw(WORDS)}.wav" for _ in range(clips))
    question, answer, choices = draw(WORDS), draw(WORDS), tuple[str, ...]()
    if task == "binary":
        question, choices = yes_no_question(question), ("yes", "no")
    elif task == "entailment":
        question, choices = entailment_question(question), tuple(LABELS.values())
    elif task == "mcq":
        choices = tuple(draw(st.lists(WORDS, min_size=2, max_size=4, unique_by=str.casefold)))
        question += "? " + " ".join(f"{mark}) {text}" for mark, text in zip("abcd", choices, strict=False))
    if choices:
        answer = draw(st.sampled_from(choices))
    split = draw(st.sampled_from(["train", "val", "test"]))
    return Record(question, answer, audio, captions, choices, task, subtype, source, split)  # type: ignore[arg-type]


@given(records())
def test_a_record_of_each_subtype_comes_back_as_it_was(record: Record) -> None:
    row = to_published(record)
    assert tuple(row) == FIELDS
    again = from_published(row, split=record.split, where="here", provenance={})
    assert again == record


def real_records(shared: Any) -> Iterator[Record]:
    for path in sorted(shared("text/entailment").glob("*.csv")):
        yield from entailment.read(path)
    for path in sorted(shared("text/difference").glob("*.csv")):
        yield from difference.read(path)


def test_all_rows_of_the_published_tables(shared: Any, tmp_path: Path) -> None:
    """50 thousand records: as rows, as a published file, and as our JSONL."""
    made = list(real_records(shared))
    assert len(made) == 3 * (3839 + 1045 + 1045 + 4875) + 3 * 2456 + 2 * 4680 + 2 * 5225
    for record in made:
        licence, rest = record.licence, {"provenance": {}}
        again = from_published(to_published(record), split=record.split, where="", licence=licence, **rest)
        assert again == replace(record, provenance={})
    of_split = [record for record in made if record.split == "val"]
    reasonaqa.write(tmp_path / "val.json", of_split)
    again = [replace(record, provenance={}, licence="MIT") for record in reasonaqa.read(tmp_path / "val.json")]
    assert again == [replace(record, provenance={}) for record in of_split]
    write_records(tmp_path / "val.jsonl", of_split)
    assert list(read_records(tmp_path / "val.jsonl")) == of_split


def test_difference_rows_are_written_as_published(shared: Any) -> None:
    """The columns of the table come back, with the subtype beside them."""
    from mellow.data.sources.csv_file import csv_rows

    path = shared("text/difference/acd_val_adiff_detail_answer.csv")
    made = [to_published(record) for record in difference.read(path)]
    assert made == [row.fields | {"subtype": "ACD-3.json"} for row in csv_rows(path, FIELDS[:-1])]


# --- reading ----------------------------------------------------------------------------------------------------------


def published(**changed: str) -> dict[str, str]:
    row = dict.fromkeys(FIELDS, "")
    return row | {"taskname": "audiocaps", "filepath1": "a.wav", "input": "what?", "answer": "rain"} | changed


def test_special_inputs_without_answers_get_them_from_the_captions() -> None:
    captions = {"caption1": "a dog", "caption2": "a cat.", "filepath2": "b.wav", "answer": "", "subtype": "Clotho.json"}
    answers = {
        "caption first audio": "a dog",
        "caption second audio": "a cat.",
        "caption both audios": "The audio 1 is a dog. The audio 2 is a cat.",
    }
    for question, answer in answers.items():
        row = published(input=question, **captions)
        assert record_of(row).answer == answer
        assert to_published(record_of(row)) == row


def test_multiple_choice_answers_become_option_texts() -> None:
    question = "What barks? a) a cat b) a dog, big c) none"
    for answer in ("b) a dog, big", "(B) A dog, big.", "b", "A dog, big"):
        record = record_of(published(input=question, answer=answer, subtype="Clotho-MCQ.json"))
        assert (record.answer, record.choices) == ("a dog, big", ("a cat", "a dog, big", "none"))
    for answer in ("b) a cat", "d) a cow", "a cow", "e"):
        record = record_of(published(input=question, answer=answer, subtype="Clotho-MCQ.json"))
        assert (record.answer, record.choices) == (answer, ())


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What? a) x b) y", [("a", "x"), ("b", "y")]),
        ("What? A) x y\nB) z", [("A", "x y"), ("B", "z")]),
        ("What? (a) x (b) y", [("a", "x"), ("b", "y")]),
        ("What? a) x c) y", []),
        ("What? a) x", []),
        ("Is it a dog?", []),
        ("see b) there: a) x b) y", [("a", "x"), ("b", "y")]),
    ],
)
def test_lettered_options(question: str, found: list[tuple[str, str]]) -> None:
    assert list(letters(question)) == found


def test_empty_rows_are_counted_and_kept_only_if_wanted(tmp_path: Path) -> None:
    rows = [
        published(),
        published(input=""),
        published(answer=" "),
        published(filepath1="", filepath2=""),
        published(input="What? a) x b) y", answer="z", subtype="AudioCaps-MCQ.json"),
    ]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(rows))
    report = SourceReport()
    assert len(list(reasonaqa.read(path, report=report))) == 3
    assert report.rows == 5
    assert report.left_out == {"empty question": 1, "empty answer": 1}
    assert report.noted == {"no clip named": 1, "answer is none of the options": 1}
    again = tmp_path / "again.json"
    assert reasonaqa.write(again, reasonaqa.read(path, keep_empty=True)) == 5
    assert json.loads(again.read_text()) == rows
    assert reasonaqa.write(again, []) == 0
    assert json.loads(again.read_text()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"answer": None}, "train.json, line 1: the field 'answer' is not a text; a row has taskname, filepath1,"),
        ({"more": 3}, "train.json, line 1: the field 'more' is not a text."),
        ({"filepath1": "../../etc/x.wav"}, "train.json, line 1: the audio path '../../etc/x.wav' leads out of"),
        ({"filepath1": "..\\x.wav"}, "train.json, line 1: the audio path '..\\\\x.wav' leads out of the data set"),
        ({"caption1": "['a', 3]"}, "train.json, line 1: \"['a', 3]\"... is not a list of texts only."),
        ({"caption1": "['a', "}, "train.json, line 1: \"['a', \"... begins like a list of texts, but is not one."),
    ],
)
def test_broken_rows(put: Any, fails: Any, change: dict[str, Any], sentence: str) -> None:
    path = put("train.json", json.dumps([published() | change]))
    assert fails(reasonaqa.read(path)).startswith(sentence)
    row = published()
    del row["subtype"]
    assert fails(reasonaqa.read(put("train.json", json.dumps([row])))).startswith(
        "train.json, line 1: the field 'subtype' is missing; a row has "
    )


def test_lists_of_captions_are_never_run() -> None:
    for text in ("['a', __import__('os').getcwd()]", "['a'] * 3", "['a'" + "[" * 5000):
        with pytest.raises(DataError, match="list of texts"):
            listed_texts(text, where="here")
    assert listed_texts("[music] plays", where="here") == ("[music] plays",)
    assert listed_texts("", where="here") == ()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    reasonaqa.write(path, [record_of(published())])
    before = path.read_bytes()

    def breaks() -> Iterator[Record]:
        yield record_of(published())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        reasonaqa.write(path, breaks())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
