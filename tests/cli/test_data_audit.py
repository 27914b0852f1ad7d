"""`mellow data audit`, `show` and `statistics` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from mellow.data.records import Record, write_records

from .conftest import Refusal, Run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        Record(
            f"What does [red]sound {n}[/red] do in the clip?",
            "It \x1b[31mrises.",
            (f"{n}.wav",),
            ("A dog",),
            task="detail",
        )
        for n in range(5)
    ]
    rows.append(Record("What is the pitch?", "It is unknown.", ("r.wav",), task="detail", provenance={"type": "2"}))
    write_records(tmp_path / "mine.jsonl", rows)
    return tmp_path / "mine.jsonl"


def test_an_audit_as_tables(run: Run, data: Path) -> None:
    result = run("data", "audit", data)
    assert result.exit_code == 0
    assert "What it holds" in result.stdout and "16.7%" in result.stdout
    assert "\x1b" not in result.stdout


def test_an_audit_as_json_and_files(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("data", "audit", data, "--json", "--out", tmp_path / "out")
    assert json.loads(result.stdout)["mine"]["filters"]["rows"]["refusal"]["all"] == pytest.approx(1 / 6, abs=1e-4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "audit.json",
        "audit.md",
        "rejected-mine.jsonl",
    ]
    assert json.loads((tmp_path / "out" / "audit.json").read_text()) == json.loads(result.stdout)
    assert "unknown" in (tmp_path / "out" / "rejected-mine.jsonl").read_text()


def test_two_data_sets(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.jsonl"
    other.write_bytes(data.read_bytes())
    result = run("data", "audit", data, other, "--json")
    assert len(json.loads(result.stdout)) == 2
    assert run("data", "audit", data, other).exit_code == 0


def test_what_cannot_be_audited(refusal: Refusal, data: Path, tmp_path: Path) -> None:
    assert "There is no data set" in refusal("data", "audit", tmp_path / "gone")
    assert "3 data sets were given" in refusal("data", "audit", data, data, data)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert "has no questions" in refusal("data", "audit", tmp_path / "t.csv")


def test_show(run: Run, refusal: Refusal, data: Path) -> None:
    result = run("data", "show", "r", "--data", data)
    assert result.stdout == "\nDetail Type 2\n  Question: What is the pitch?\n  Answer: It is unknown.\n"
    assert "Caption: A dog" in run("data", "show", "3.wav", "--data", data).stdout
    assert json.loads(run("data", "show", "r.flac", "--data", data, "--json").stdout)["type"] == "Type 2"
    assert "No record is about the clip 'x'" in refusal("data", "show", "x", "--data", data)


def test_statistics(run: Run, data: Path, tmp_path: Path) -> None:
    found = json.loads(run("data", "statistics", data, "--json").stdout)
    assert found["words"]["rows"]["Type 2 Detail overall"]["pairs"] == 1
    pytest.importorskip("matplotlib")
    assert "Audio words" in run("data", "statistics", data, "--out", tmp_path / "out").stdout
    assert (tmp_path / "out" / "statistics.md").read_text().count("![") >= 1
