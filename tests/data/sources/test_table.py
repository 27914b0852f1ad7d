"""Tables of one's own: columns by name, in any of the usual files, and Parquet with the clips inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellow.data.records import CaptionedClip, Record
from mellow.data.sources import READERS, table
from mellow.data.sources.audio import AudioRoot
from mellow.data.sources.columns import Columns
from mellow.data.sources.report import SourceReport
from mellow.errors import DataError

CAPTIONS = Columns(audio=("file",), captions=("text",), source="mine", licence="CC0")
QUESTIONS = Columns(audio=("a",), question="q", answer="r", choices=("o1", "o2"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "file,text\na.wav,A dog\nb.wav,\"['A cat', 'Meow']\"\n"),
        ("x.tsv", "file\ttext\na.wav\tA dog\nb.wav\t['A cat', 'Meow']\n"),
        ("x.jsonl", '{"file": "a.wav", "text": "A dog"}\n{"file": "b.wav", "text": ["A cat", "Meow"]}\n'),
        ("x.json", '[{"file": "a.wav", "text": "A dog"}, {"file": "b.wav", "text": ["A cat", "Meow"], "more": 1}]'),
    ],
)
def test_captions(put: Any, name: str, content: str) -> None:
    assert list(table.read(put(name, content), columns=CAPTIONS)) == [
        CaptionedClip("a.wav", ("A dog",), "mine", "train", "CC0"),
        CaptionedClip("b.wav", ("A cat", "Meow"), "mine", "train", "CC0"),
    ]


def test_questions_with_options_in_columns(put: Any) -> None:
    path = put("x.csv", "a,q,r,o1,o2\nx.wav,What?,B,dog,cat\nx.wav,dog or cat?,dog,dog,cat\nx.wav,What?,cow,dog,cat\n")
    report = SourceReport()
    made = [item for item in table.read(path, columns=QUESTIONS, report=report) if isinstance(item, Record)]
    assert [(record.question, record.answer, record.choices) for record in made] == [
        ("What? a) dog b) cat", "cat", ("dog", "cat")),
        ("dog or cat?", "dog", ("dog", "cat")),
        ("What? a) dog b) cat", "cow", ()),
    ]
    assert report.noted == {"answer is none of the options": 1}
    assert [Record.from_json(record.to_json(), where="") for record in made] == made
    assert made[0].provenance == {"file": "x.csv", "row": 1}


def test_pairs_splits_and_ids(put: Any, fails: Any) -> None:
    columns = Columns(audio=("one", "two"), question="q", answer="a", split="part", id="n")
    header = "one,two,q,a,part,n\n"
    made = list(table.read(put("x.csv", f"{header}a,b,x,y,val,1\nc,,x,y,test,2\n"), columns=columns))
    assert [(item.audio, item.split) for item in made] == [(("a", "b"), "val"), (("c",), "test")]
    path = put("x.csv", f"{header}a,b,x,y,dev,1\n")
    assert (
        fails(table.read(path, columns=columns)) == "x.csv, line 2: the split 'dev' is unknown; use train, val, test."
    )
    path = put("x.csv", f"{header}a,b,x,y,val,1\na,b,x,y,val,1\n")
    assert fails(table.read(path, columns=columns)).startswith("x.csv, line 3: the n '1' is in line 2 already")


def test_empty_rows_are_counted(put: Any) -> None:
    report = SourceReport()
    path = put("x.csv", "a,q,r,o1,o2\nx,,y,,\nx,q,,,\n,q,r,,\n")
    assert len(list(table.read(path, columns=QUESTIONS, report=report))) == 1
    assert report.left_out == {"empty question": 1, "empty answer": 1}
    path = put("y.csv", "file,text\n,x\ny,\n")
    assert list(table.read(path, columns=CAPTIONS, report=report)) == []
    assert report.left_out["no clip named"] == report.left_out["no caption"] == 1
    assert report.rows == 5


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", "file\na\n", "x.csv, line 1: the column 'text' is missing; found 'file'."),
        ("x.jsonl", '{"file": "a"}', "x.jsonl, line 1: the field 'text' is missing; found 'file'."),
        ("x.jsonl", '{"file": "a", "text": {}}', "x.jsonl, line 1: the column 'text' holds neither a text nor a list"),
        ("x.jsonl", '{"file": "a", "text": ["x", 1]}', "x.jsonl, line 1: the column 'text' holds neither a text nor"),
        ("x.xlsx", "", "x.xlsx is no table that can be read; its name must end in .csv, .tsv, .jsonl or .json."),
    ],
)
def test_broken_tables(put: Any, fails: Any, name: str, content: str, sentence: str) -> None:
    assert fails(table.read(put(name, content), columns=CAPTIONS)).startswith(sentence)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"question": "q"}, "A table of questions needs both columns, question and answer; name the other one."),
        ({}, "A table of captions needs one column audio and a column captions; name them."),
        ({"audio": ("a", "b"), "captions": ("c",)}, "A table of captions needs one column audio and a column captions"),
        (
            {"audio": ("a", "b", "c"), "question": "q", "answer": "a"},
            "A question is about two clips at most, not the 3",
        ),
    ],
)
def test_columns_that_make_no_table(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        Columns(**options)
    assert str(caught.value).startswith(sentence)


# --- Parquet ----------------------------------------------------------------------------------------------------------

HF = Columns(audio=("audio",), captions=("caption",), source="hub")


@pytest.fixture
def parquet(tmp_path: Path, tone: Any) -> Iterator[Any]:
    """Write a Parquet file with rows as the library `datasets` does."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'mellow-audio[parquet]'")
    from pyarrow import parquet as pq

    def write(rows: list[dict[str, Any]], name: str = "train-00000.parquet") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pyarrow.Table.from_pylist(rows), path)
        return path

    yield write


def test_clips_inside_parquet_become_files_on_demand(parquet: Any, tone: Any, tmp_path: Path) -> None:
    one, two = tone(440).read_bytes(), tone(550).read_bytes()
    path = parquet([
        {"audio": {"bytes": one, "path": "a/sound.wav"}, "caption": "A tone"},
        {"audio": {"bytes": two, "path": "b/sound.wav"}, "caption": "Another"},
        {"audio": {"bytes": one, "path": "a/sound.wav"}, "caption": "The same"},
    ])  # fmt: skip
    out, report = tmp_path / "clips", SourceReport()
    reader = READERS["parquet"](path, columns=HF, audio_dir=out, report=report)
    first = next(reader)
    assert (out / first.audio).read_bytes() == one
    assert len(list(out.iterdir())) == 1
    made = [first, *reader]
    assert [(out / clip.audio).read_bytes() for clip in made] == [one, two, one]
    assert made[0].audio == made[2].audio != made[1].audio
    assert made[0].audio.startswith("sound-")
    assert sorted(file.name for file in out.iterdir()) == sorted({clip.audio for clip in made})
    assert (report.rows, report.kept, len(report.present)) == (3, 3, 2)
    assert [clip.audio for clip in READERS["parquet"](path, columns=HF)] == [clip.audio for clip in made]


def test_paths_in_parquet_are_looked_for(parquet: Any, tmp_path: Path) -> None:
    path = parquet([{"audio": "x.wav", "caption": "X"}, {"audio": "y.wav", "caption": "Y"}])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.flac").touch()
    report = SourceReport()
    made = list(READERS["parquet"](path, columns=HF, audio=AudioRoot(tmp_path), report=report))
    assert [clip.audio for clip in made] == ["in/x.flac", "y.wav"]
    assert (report.present, report.absent) == ({"x.wav"}, {"y.wav"})


def test_a_folder_of_questions_in_shards(parquet: Any, tmp_path: Path) -> None:
    columns = Columns(audio=("audio",), question="q", answer="a", choices=("options",))
    for number in range(2):
        row = {"audio": None, "q": f"What {number}?", "a": "cat", "options": ["dog", "cat"]}
        parquet([row], f"shards/part-{number}.parquet")
    made = list(READERS["parquet"](tmp_path / "shards", columns=columns))
    assert [record.question for record in made] == ["What 0? a) dog b) cat", "What 1? a) dog b) cat"]
    assert made[1].provenance == {"file": "part-1.parquet", "row": 1}


def test_unsafe_names_in_parquet(parquet: Any, tone: Any, tmp_path: Path) -> None:
    path = parquet(
        [{"audio": {"bytes": tone(440).read_bytes(), "path": "../../e\x00vil/../s:ound.wav"}, "caption": "x"}]
    )
    (clip,) = READERS["parquet"](path, columns=HF, audio_dir=tmp_path / "clips")
    assert clip.audio.startswith("s_ound-")
    assert (tmp_path / "clips" / clip.audio).is_file()


def test_broken_parquet(parquet: Any, put: Any, fails: Any, tmp_path: Path) -> None:
    def read(path: Path) -> Any:
        return READERS["parquet"](path, columns=HF)

    assert fails(read(parquet([{"x": 1}]))) == ("train-00000.parquet: the column 'audio' is missing; found 'x'.")
    assert fails(read(parquet([{"audio": 3, "caption": "x"}]))).startswith(
        "train-00000.parquet, row 1: the column 'audio' holds neither a path nor a clip"
    )
    assert fails(read(put("x.parquet", "nonsense"))).startswith("x.parquet cannot be read as Parquet (")
    whole = parquet([{"audio": "x", "caption": "y"}] * 100).read_bytes()
    assert fails(read(put("x.parquet", whole[:-20]))).startswith("x.parquet cannot be read as Parquet (")
    assert fails(read(tmp_path / "no.parquet")).startswith("no.parquet cannot be read as Parquet (")
    (tmp_path / "empty").mkdir()
    assert fails(read(tmp_path / "empty")) == "The folder empty holds no .parquet files."


def test_json_of_any_row(put: Any) -> None:
    """What `datasets` exports as JSON lines is read by the same columns."""
    rows = [{"audio": "a.wav", "caption": "A dog", "extra": None}]
    path = put("x.jsonl", "\n".join(map(json.dumps, rows)))
    assert [item.captions for item in table.read(path, columns=HF)] == [("A dog",)]
