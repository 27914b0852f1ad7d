"""Data sets from recipes: what is taken, what is left out and why, and that nothing half-made is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mellow.data.dataset.build import build_dataset
from mellow.data.dataset.recipe import DatasetRecipe
from mellow.data.records import Record, read_records, write_records
from mellow.data.sources import reasonaqa
from mellow.errors import DataError, ModelError

Build = Callable[..., dict[str, Any]]
Rows = Callable[..., list[Record]]
PAIRS = [{"source": "records", "files": ["synthesis/*.jsonl"]}]


def of_row(report: dict[str, Any], row: str, split: str) -> dict[str, Any]:
    return next(line for line in report["table1"] if (line["row"], line["split"]) == (row, split))


# --- the whole --------------------------------------------------------------------------------------------------------


def test_all_sources_are_built_and_counted(build: Build, rows: Rows, tmp_path: Path) -> None:
    report = build()
    counted = {split: Counter(record.subtype for record in rows(split)) for split in ("train", "val", "test")}
    assert counted == {
        "train": {"Clotho.json": 15, "AudioCaps.json": 2, "ClothoAQA.json": 3, "CLE.json": 9},
        "val": {"Clotho.json": 10, "AudioCaps.json": 5, "CLE.json": 6, "ACD-3.json": 3},
        "test": {"Clotho.json": 10, "AudioCaps.json": 5, "CLE.json": 6, "ClothoAQA.json": 3},
    }
    for split, counts in counted.items():
        assert report["splits"][split]["pairs"] == sum(counts.values())
        for subtype, count in counts.items():
            row = "ACD" if subtype == "ACD-3.json" else subtype.removesuffix(".json")
            assert of_row(report, row, split)["ours"]["pairs"] == count
    assert report["splits"]["train"]["clips"] == 5  # ClothoAQA's clip a is Clotho's
    assert of_row(report, "Clotho", "train")["ours"]["clips"] == 3
    assert of_row(report, "Total", "train")["paper"]["pairs"] == 968071
    assert sum(row["percent"] for row in report["splits"]["val"]["rows"].values()) == pytest.approx(100, abs=0.2)
    assert json.loads((tmp_path / "out/report.json").read_text()) == json.loads(json.dumps(report))


def test_the_published_json_holds_the_same_records(build: Build, rows: Rows, tmp_path: Path) -> None:
    build(sources=[{"source": name} for name in ("clotho", "clotho_aqa", "entailment", "difference")])
    for split in ("train", "val", "test"):
        back = list(reasonaqa.read(tmp_path / f"out/reasonaqa_{split}.json", split=split))  # type: ignore[arg-type]
        assert [record.id for record in back] == [record.id for record in rows(split)]
        assert [record.captions for record in back] == [record.captions for record in rows(split)]


def test_every_difference_from_the_paper_has_its_reason(build: Build) -> None:
    report = build(
        reasons={"CLE": {"train": "a small world"}}, mixture="type1", sources=[*PAIRS, {"source": "difference"}]
    )
    assert of_row(report, "CLE", "train")["reason"] == "no source in this build gives it"
    assert "4 left out (not chosen: type not in the mixture)" in of_row(report, "Clotho-Detail", "train")["reason"]
    assert of_row(report, "ACD", "val")["reason"].startswith(
        "not here: acd_val_adiff_fewwords_answer.csv, acd_val_adiff_s"
    )
    assert not [line for line in report["table1"] if line["difference"] and not line["reason"]]
    told = build(reasons={"CLE": {"train": "a small world"}}, output=report["recipe"]["output"] + "2")
    assert of_row(told, "CLE", "train")["reason"] == "a small world"


def test_hours_two_ways(build: Build, clips: Path) -> None:
    report = build(audio_root=str(clips), sources=[{"source": "clotho"}, {"source": "audiocaps"}])
    train = report["splits"]["train"]
    assert train["clips"] == 5
    assert train["clips_of_known_length"] == 5
    assert train["hours_by_10_s"] == round(50 / 3600, 2)
    assert train["hours_in_full"] == round((12 + 1 + 1 + 20) / 3600, 2)
    assert train["hours_by_10_s_at_most"] == round((10 + 1 + 1 + 20) / 3600, 2)


def test_known_defects_are_measured(build: Build) -> None:
    defects = build()["splits"]
    assert defects["train"]["defects"]["binary"] == {
        "rows": 3, "questions": 1, "conflicting_questions": 1, "rows_of_conflicting_questions": 3,
        "ceiling_percent": 66.7, "always_yes_percent": 66.7,
    }  # fmt: skip
    assert defects["train"]["defects"]["equal_rows"] == 1
    assert defects["train"]["defects"]["words_of_hypotheses"] == {"contradiction": 1, "entailment": 3, "neutral": 2}
    assert defects["val"]["defects"]["answers_that_name_hz"] == {"ACD-3": {"rows": 3, "of_them": 2}}
    assert defects["val"]["defects"]["clip_compared_with_itself"] == 3


def test_report_and_card_say_what_was_found(build: Build, tmp_path: Path) -> None:
    build(sources=[*PAIRS, {"source": "clotho"}, {"source": "clotho_aqa"}])
    report, card = ((tmp_path / "out" / name).read_text() for name in ("report.md", "card.md"))
    assert "| Clotho | descriptive | train | 3839 | 3 | 19195 | 15 |" in report
    assert "no clip was looked for" in report
    assert "by name: train+test: 1 clips" in report
    assert "`clotho_aqa/clotho_aqa_val.csv`" in report
    assert "| Tiny LM (r1) | general 2 | 6 |" in card
    assert "3 of Type 1, 2 of Type 2, 2 of Type 3" in card
    assert "| clotho | Tampere University licence" in card
    assert "not the whole of ReasonAQA: 1 of the tables" in card
    assert "1 of 1 questions have both answers" in card
    assert "None were applied" in card
    assert "$" not in card
    for text in (report, card):
        lines = text.splitlines()
        tables = [n for n, line in enumerate(lines) if line.startswith("| ---")]
        assert all(lines[n - 1].count("|") == lines[n].count("|") == lines[n + 1].count("|") for n in tables)


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_subtypes(build: Build, rows: Rows) -> None:
    report = build(subtypes=["CLE", "ACD-3"])
    assert {record.subtype for split in ("train", "val", "test") for record in rows(split)} == {
        "CLE.json",
        "ACD-3.json",
    }
    assert {"split": "train", "row": "Clotho", "reason": "not chosen: not among the subtypes", "rows": 15} in report[
        "left_out"
    ]


def test_captions_per_clip(build: Build, rows: Rows) -> None:
    report = build(sources=[{"source": "audiocaps", "captions_per_clip": {"val": 1, "test": 3}}])
    assert [len(rows(split)) for split in ("train", "val", "test")] == [2, 1, 3]
    left = {table["file"].rpartition("/")[2]: table["left_out"] for table in report["tables"]}
    assert left["val.csv"] == {"caption beyond captions_per_clip": 4}


@pytest.mark.parametrize(
    ("mixture", "types"), [("all", "1112233"), ("type1", "111"), ("type2", "22"), ("type3", "33"), ("type4", "111233")]
)
def test_mixtures(mixture: str, types: str, build: Build, rows: Rows, left_out: Any) -> None:
    """Type 4 has the question that Types 1 and 2 share once."""
    build(sources=[*PAIRS, {"source": "clotho"}], mixture=mixture)
    made = [record for record in rows("train") if record.task == "detail"]
    assert "".join(sorted(str(record.provenance["type"]) for record in made)) == types
    assert len(rows("train")) == len(made) + 15
    expected = ["question repeated about the clip"] if mixture == "type4" else []
    assert [row["reason"] for row in left_out()] == expected


def test_the_same_clips_with_other_questions(build: Build, rows: Rows, tmp_path: Path) -> None:
    """The list that one build writes selects the clips of the next."""
    build(sources=PAIRS)
    listed = tmp_path / "out/clips_train.txt"
    assert listed.read_text() == "ClothoV21/development/a.wav\n"
    build(clips={"train": str(listed)}, output=str(tmp_path / "second"))
    assert {record.audio for record in rows("train", "second")} == {
        ("ClothoV21/development/a.wav",), ("ClothoAQA/audio_files/a.wav",),
    }  # fmt: skip
    assert len(rows("val", "second")) == 24


def test_clips_of_one_source(build: Build, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("b.wav\nc\n\n")
    report = build(
        sources=[{"source": "clotho", "clips": {"train": str(tmp_path / "list.txt")}}, {"source": "entailment"}]
    )
    assert Counter(record.subtype for record in rows("train")) == {"Clotho.json": 10, "CLE.json": 9}
    assert {"clip not in the list": 1} in [table["left_out"] for table in report["tables"]]


def test_shares_do_not_depend_on_what_else_is_there(build: Build, rows: Rows, tmp_path: Path) -> None:
    build(shares={"Clotho": 0.5, "CLE": 0.0})
    some = [record.id for record in rows("train") if record.subtype == "Clotho.json"]
    assert 2 < len(some) < 13
    assert "CLE.json" not in {record.subtype for record in rows("train")}
    build(shares={"Clotho": 0.5}, sources=[{"source": "clotho"}], output=str(tmp_path / "alone"))
    assert [record.id for record in rows("train", "alone")] == some
    build(shares={"Clotho": 0.5}, sources=[{"source": "clotho"}], output=str(tmp_path / "other"), seed=2)
    assert [record.id for record in rows("train", "other")] != some


def test_a_table_of_ones_own_captions(recipe: Any, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "clip,words,set\nx.wav,A dog barks.,train\ny.wav,Rain falls.,val\nz.wav,A car,train\n"
    )
    columns = {"audio": "clip", "captions": ["words"], "split": "set", "source": "mine", "licence": "CC0"}
    source = {"source": "table", "files": ["mine.csv"], "columns": columns, "tasks": ["caption", "pairs", "match"]}
    report = build_dataset(recipe(root=str(tmp_path), sources=[{**source, "subtype": "Mine.json"}]))
    assert Counter(record.task for record in rows("train")) == {"caption": 3, "binary": 2}
    assert {record.licence for record in rows("train")} == {"CC0"}
    line = of_row(report, "Mine", "train")
    assert (line["paper"], line["difference"], line["reason"]) == (None, None, "not in the paper")


# --- audio ------------------------------------------------------------------------------------------------------------


def test_absent_audio_is_kept_and_counted(build: Build, rows: Rows, clips: Path) -> None:
    report = build(audio_root=str(clips), absent_audio="keep", sources=[{"source": "clotho"}])
    assert [made["clips_absent"] for made in report["splits"].values()] == [0, 1, 2]
    assert rows("train")[0].audio == ("a.wav",)
    assert rows("test")[0].audio == ("ClothoV21/evaluation/f.wav",)


def test_absent_audio_is_left_out_with_the_reason(build: Build, rows: Rows, clips: Path, left_out: Any) -> None:
    report = build(audio_root=str(clips), absent_audio="count", sources=[{"source": "clotho"}])
    assert [len(rows(split)) for split in ("train", "val", "test")] == [15, 5, 0]
    assert "test" not in report["splits"]
    lost = left_out()
    assert Counter(row["reason"] for row in lost) == {"audio absent": 15}
    assert "15 left out" not in of_row(report, "Clotho", "val")["reason"]
    assert "10 left out (audio absent)" in of_row(report, "Clotho", "test")["reason"]


def test_absent_audio_stops_a_build_that_requires_it(build: Build, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"The clip ClothoV21/validation/e\.wav is not below .* set absent_audio: count\.$"
    ):
        build(audio_root=str(clips), absent_audio="require", sources=[{"source": "clotho"}])
    assert list(tmp_path.iterdir()) == []


def test_clips_that_cross_splits_are_counted_by_name_and_by_content(build: Build, clips: Path) -> None:
    report = build(audio_root=str(clips))
    assert report["crossing"]["by_name"] == {"train+test": 1}
    assert report["crossing"]["by_content"] == {"train+test": 1, "train+val": 1}  # b; c, of which d is a copy
    assert build(output=report["recipe"]["output"] + "2")["crossing"]["by_content"] is None


def test_equal_names_of_other_recordings_are_equal_by_name_only(recipe: Any, tmp_path: Path) -> None:
    """In `crossing: keep` both are told; a file is compared, not a name."""
    rows = []
    for split in ("train", "test"):
        (tmp_path / f"clips/{split}").mkdir(parents=True)
        (tmp_path / f"clips/{split}/knock.wav").write_text(split)
        rows.append(Record("What?", "A knock.", (f"{split}/knock.wav",), task="detail", split=split))  # type: ignore[arg-type]
    write_records(tmp_path / "rows.jsonl", rows)
    sources = [{"source": "records", "files": ["rows.jsonl"]}]
    report = build_dataset(recipe(root=str(tmp_path), sources=sources, audio_root=str(tmp_path / "clips")))
    assert report["crossing"] == {"by_name": {"train+test": 1}, "by_content": {}, "hashed": 2, "examples": ["knock"]}


@pytest.mark.parametrize("hashed", [True, False])
def test_clips_that_cross_splits_are_left_out_of_the_split_that_is_less_held_out(
    build: Build, rows: Rows, clips: Path, left_out: Any, hashed: bool
) -> None:
    build(audio_root=str(clips), hash_audio=hashed, crossing="leave_out")
    heard = {split: {name for record in rows(split) for name in record.audio} for split in ("train", "val", "test")}
    assert "b.wav" in heard["test"]
    assert "b.wav" not in heard["train"]
    assert ("c.wav" in heard["train"]) is not hashed
    assert "d.wav" in heard["val"]
    reasons = Counter((row["reason"], row["audio"][0]) for row in left_out())
    by_content = {("its audio is in val", "c.wav"): 8}
    assert reasons == {("its audio is in test", "b.wav"): 8, **(by_content if hashed else {})}


# --- filters and the gate ---------------------------------------------------------------------------------------------


def test_filters_look_at_their_families_and_keep_what_they_reject(build: Build, rows: Rows, left_out: Any) -> None:
    report = build(sources=[*PAIRS, {"source": "clotho"}], filters={"skip": ["length", "vague question"]})
    assert len([record for record in rows("train") if record.subtype == "Clotho.json"]) == 15
    reasons = {row["answer"]: row["reason"] for row in left_out()}
    refused = next(reason for answer, reason in reasons.items() if answer.startswith("I'm sorry"))
    assert refused.startswith("filter: refusal")
    assert report["filtered"]["train"]["rejected"]["refusal"] == 1
    assert len(rows("train")) + len(left_out()) == 15 + 7
    assert "length" not in report["filters"]
    assert report["filtered"]["train"]["kept"] == len(rows("train")) - 15
    untouched = build(sources=PAIRS, output=report["recipe"]["output"] + "2")
    assert (untouched["filters"], untouched["filtered"]) == ([], {})


def labelled(count: int) -> Iterator[Record]:
    """Questions whose first word tells the answer."""
    for n in range(count):
        word, answer = ("surely", "yes") if n % 2 else ("hardly", "no")
        yield Record(f"Is it {word} {n}?", answer, (f"{n}.wav",), (f"clip {n}",), ("yes", "no"), "binary", "Mine.json")


def test_a_family_that_text_answers_is_refused_unless_it_is_allowed(recipe: Any, tmp_path: Path) -> None:
    write_records(tmp_path / "mine.jsonl", labelled(400))
    settings = {"root": str(tmp_path), "sources": [{"source": "records", "files": ["mine.jsonl"]}]}
    with pytest.raises(DataError, match=r"by their text alone .* allow the family 'binary' by name\.$"):
        build_dataset(recipe(**settings))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.jsonl"]
    report = build_dataset(recipe(**settings, allow_text_only=["binary"]))
    assert report["text_only_control"][0]["text_only"] > 0.95


# --- faults -----------------------------------------------------------------------------------------------------------


def test_tables_that_are_absent(build: Build, recipe: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match=r"18 tables are not below .* \(the first: clotho_aqa/clotho_aqa_val\.csv\)"):
        build(absent_tables="require", sources=[{"source": "clotho_aqa"}, {"source": "difference"}])
    with pytest.raises(DataError, match="None of the recipe's tables"):
        build(sources=[{"source": "wavcaps"}])
    with pytest.raises(DataError, match="The folder of tables 'nowhere' is not there"):
        build(root="nowhere")
    report = build(sources=[{"source": "clotho_aqa"}, {"source": "records", "files": ["none/*.jsonl"]}])
    assert report["absent_tables"] == ["clotho_aqa/clotho_aqa_val.csv", "none/*.jsonl"]
    assert "2 tables are not here" in caplog.text


def test_nothing_is_left_of_a_build_that_failed(recipe: Any, tmp_path: Path) -> None:
    root = tmp_path / "tables"
    root.mkdir()
    (root / "clotho_captions_development.csv").write_text("file_name,caption_1\nx.wav,y\n")
    with pytest.raises(DataError, match="line 1: the column 'caption_2' is missing"):
        build_dataset(recipe(root=str(root), sources=[{"source": "clotho"}]))
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


def test_nothing_is_left_where_no_row_is(build: Build, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No row of the tables is left"):
        build(subtypes=["ACE"])
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_a_source_does_not_have(build: Build) -> None:
    with pytest.raises(DataError, match="The source 'clotho' has no setting 'blacklist'"):
        build(sources=[{"source": "clotho", "blacklist": "x.json"}])


def test_a_list_of_clips_that_cannot_be_read(build: Build, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The list of clips .*none\.txt cannot be read \(No such file"):
        build(clips={"train": str(tmp_path / "none.txt")})


def test_what_is_there_is_not_written_over(build: Build, tmp_path: Path) -> None:
    build(sources=PAIRS)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ModelError, match="exists already"):
        build(sources=[{"source": "clotho"}])
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_build_that_was_killed_leaves_nothing_that_looks_complete(tables: Path, tmp_path: Path) -> None:
    """Killed when two of the three splits are written; a second build is not disturbed by what is left."""
    code = (
        "import os, signal, sys\n"
        "from mellow.data.dataset.build import build_dataset\n"
        "from mellow.data.dataset.recipe import DatasetRecipe\n"
        "def kill(step, done, total):\n"
        "    if step == 'Writing' and done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "recipe = DatasetRecipe(output=sys.argv[2], root=sys.argv[1], sources=[{'source': 'clotho'}])\n"
        "build_dataset(recipe, progress=kill)\n"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tables), str(out)], env=dict(os.environ), capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists()
    (partial,) = tmp_path.iterdir()
    assert partial.name.startswith(".out.")
    assert partial.name.endswith(".part")
    assert not (partial / "report.json").exists()
    build_dataset(
        DatasetRecipe.model_validate({"output": str(out), "root": str(tables), "sources": [{"source": "clotho"}]})
    )
    assert len(list(read_records(out / "train.jsonl"))) == 15


def test_equal_recipes_give_equal_files(build: Build, tmp_path: Path) -> None:
    everything = [*PAIRS, *({"source": name} for name in ("clotho", "audiocaps", "clotho_aqa", "entailment"))]
    for name in ("one", "two"):
        build(sources=everything, filters={}, mixture="type4", output=str(tmp_path / name))
    for path in (tmp_path / "one").iterdir():
        if path.name != "report.json":
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_memory_does_not_grow_with_the_rows(recipe: Any, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        rows = (
            Record(
                f"What is number {n}?",
                "It is a long answer. " * 20,
                (f"{n % 50}.wav",),
                task="detail",
                subtype="X.json",
            )
            for n in range(count)
        )
        write_records(tmp_path / f"{count}.jsonl", rows)
        settings = {"root": str(tmp_path), "sources": [{"source": "records", "files": [f"{count}.jsonl"]}]}
        tracemalloc.start()
        build_dataset(recipe(**settings, output=str(tmp_path / f"out{count}")))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(100)  # what is loaded once
    assert peak(4000) - peak(1000) < 500_000  # held in memory, 3000 rows would be more than 3 MB
