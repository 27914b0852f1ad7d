"""`mellow data sources`: what is published, and what is on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AQA = "file_name,QuestionText,answer,confidence\nx.wav,Is it?,yes,yes\nx.wav,Is it?,no,yes\ny.wav,Is it?,dog,yes\n"


def test_the_list(run: Any) -> None:
    result = run("data", "sources")
    assert result.exit_code == 0
    assert "Clotho v2.1 (clotho): captioned clips; Zenodo 4783391; licence: Tampere University licence" in result.stdout
    assert "clotho_aqa_train.csv  train  21132" in result.stdout
    assert "The paper counts one caption per clip in val" in result.stdout


def test_what_is_on_disk(run: Any, tmp_path: Path) -> None:
    (tmp_path / "clotho_aqa_train.csv").write_text(AQA)
    (tmp_path / "clotho_aqa_val.csv").write_text(AQA + '"')
    (tmp_path / "x.wav").touch()
    result = run("data", "sources", tmp_path)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "clotho_aqa_train.csv 3 of 21132 2 1 0" in lines
    assert "clotho_aqa_train.csv: left out: neither yes nor no: 1" in lines
    assert "clotho_aqa_val.csv broken 2 1 0" in lines
    assert f"Broken: {tmp_path}/clotho_aqa_val.csv, line 5: a quoted field that begins here is not closed." in lines
    assert "clotho_aqa_test.csv not here" in lines


def test_json(run: Any, tmp_path: Path) -> None:
    (tmp_path / "clotho_aqa_train.csv").write_text(AQA)
    result = run("data", "sources", tmp_path, "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    (on_disk,) = rows["clotho_aqa"]["on_disk"]
    assert on_disk["rows"] == 3
    assert on_disk["rows_expected"] == 21132
    assert (on_disk["audio_present"], on_disk["audio_absent"]) == (0, 1)
    assert rows["wavcaps"]["on_disk"] == []
    assert rows["wavcaps"]["licence"] == "academic use only"


def test_no_such_folder(refusal: Any, tmp_path: Path) -> None:
    sentence = refusal("data", "sources", tmp_path / "no")
    assert sentence.endswith("is not there; name the folder that holds the clips.")
