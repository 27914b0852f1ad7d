"""The facts about sources hold together, and what is on disk is found and counted."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from mellow.data.sources import READERS
from mellow.data.sources.on_disk import find_tables
from mellow.data.sources.spec import paper_counts, paper_hours, sources, spec, split_of
from mellow.errors import DataError

AQA = "file_name,QuestionText,answer,confidence\nx.wav,Is it?,yes,yes\nx.wav,Is it?,no,yes\nx.wav,Is it?,dog,yes\n"


def test_every_source_has_a_reader_and_says_where_it_is() -> None:
    for name, source in sources().items():
        assert source.name == name
        assert source.reader in READERS
        assert source.tables and source.licence and source.audio
        assert source.published.startswith(("GitHub ", "Zenodo "))
        assert "http" not in source.published
        assert all(len(table.sha256) in (0, 64) for table in source.tables)
    with pytest.raises(DataError, match=r"^The source 'esc' is unknown; use audiocaps, audiocaps2, clotho, "):
        spec("esc")


def test_table_1_adds_up() -> None:
    """The parts are the totals of the paper; so are the shares of rows per source."""
    paper = paper_counts()
    total = paper["total"]
    for split, said in total.pairs.items():
        assert sum(row.pairs.get(split, 0) for name, row in paper.items() if name != "total") == said
    assert total.file_pairs == {table.split: table.rows for table in spec("reasonaqa").tables}
    aqa = {table.split: table.kept for table in spec("clotho_aqa").tables}
    assert aqa == paper["ClothoAQA.json"].pairs
    for tables, name in (("cld", "CLD"), ("acd", "ACD")):
        rows = [table for table in spec("difference").tables if table.file.startswith(tables)]
        for split in ("train", "val", "test"):
            of_split = [table.rows or 0 for table in rows if table.split == split]
            assert len(of_split) == 3
            assert sum(of_split) == paper[name].pairs[split]
    captions = paper["AudioCaps.json"]
    for split, count in captions.captions_per_clip.items():
        assert captions.clips[split] * count == captions.pairs[split]
    assert paper_hours()["train_clips"] == captions.clips["train"] + 3839


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("clotho_entailment_development.csv", "train"),
        ("clotho_aqa_val.csv", "val"),
        ("clotho_captions_validation.csv.gz", "val"),
        ("cld_evaluation_adiff_detail_answer.csv", "test"),
        ("test-00000-of-00001.parquet", "test"),
    ],
)
def test_splits_in_names(name: str, split: str) -> None:
    assert split_of(f"train/{name}") == split


@pytest.mark.parametrize("name", ["x.csv", "retrain.csv", "train_val.csv"])
def test_names_without_one_split(name: str) -> None:
    with pytest.raises(DataError, match="does not tell its split; say whether it is train, val or test"):
        split_of(name)


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_tables_on_disk(put: Any, tmp_path: Path) -> None:
    put("ClothoAQA/clotho_aqa_train.csv", AQA)
    put("packed/clotho_aqa_val.csv.gz", gzip.compress(AQA.encode()))
    put("x/audiocaps/dataset/VAL.csv", "audiocap_id,youtube_id,start_time,caption\n1,abcdefghijk,0,A dog\n")
    put("audiocaps/dataset2.0/val.csv", "audiocap_id,youtube_id\n")
    put("elsewhere/val.csv", "a,b\n")
    put("ClothoAQA/audio_files/x.wav", "")
    put("clips/Yabcdefghijk.m4a", "")
    calls: list[tuple[int, int]] = []
    found = find_tables(tmp_path, progress=lambda step, done, total: calls.append((done, total)))
    assert [(one.source.name, one.table.split, one.report.rows, one.report.kept) for one in found] == [
        ("audiocaps", "val", 1, 1),
        ("audiocaps2", "val", 0, 0),
        ("clotho_aqa", "train", 3, 2),
        ("clotho_aqa", "val", 3, 2),
    ]
    assert [one.published for one in found] == [False, False, None, None]
    assert found[1].error.endswith("dataset2.0/val.csv, line 1: the column 'start_time' is missing; found "
                                   "'audiocap_id', 'youtube_id'.")  # fmt: skip
    assert [len(one.report.present) for one in found] == [1, 0, 1, 1]
    assert calls == [(done, 4) for done in range(5)]
    assert found[2].to_dict()["left_out"] == {"neither yes nor no": 1}


def test_all_of_shared_text_is_as_published(shared: Any) -> None:
    found = find_tables(shared("text"))
    assert len(found) == 11
    for one in found:
        assert not one.error
        assert one.published
        assert one.report.rows == one.table.rows
        assert len(one.report.absent) == one.table.clips
        assert one.report.left_out.total() == 0
