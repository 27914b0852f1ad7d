"""Scenes on disk: complete, the same after a break, and read back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mellow.data.scenes import store
from mellow.data.scenes.compose import compose_scene
from mellow.data.scenes.composition import read_held_out
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.recordings import read_recordings
from mellow.data.scenes.store import audio_path, read_scenes, write_scenes
from mellow.errors import DataError

from ..conftest import Lab


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_written_is_read_back(lab: Lab, tmp_path: Path) -> None:
    written = write_scenes(tmp_path, lab.manifest, lab.labelling, count=6, development=2, seed=1)
    assert read_scenes(tmp_path / "scenes.jsonl") == written
    alone = [scene for scene in written if scene.name.startswith("development-rec-")]
    recordings = read_recordings(lab.manifest, lab.labelling)
    assert len(written) - len(alone) == 8
    assert [scene.events[0].recording for scene in alone] == [r.path for r in recordings if r.split == "development"]
    for line in (tmp_path / "scenes.jsonl").read_text().splitlines():
        row = json.loads(line)
        info = soundfile.info(tmp_path / row["audio"])
        assert (info.format, info.samplerate, info.channels, info.subtype) == ("FLAC", 16_000, 1, "PCM_16")
        assert info.frames == round(row["seconds"] * 16_000)


def test_the_file_holds_the_composed_waveform(lab: Lab, tmp_path: Path) -> None:
    write_scenes(tmp_path, lab.manifest, lab.labelling, count=1, development=0, seed=1)
    pool = Pool(lab.folder, read_recordings(lab.manifest, lab.labelling))
    _, waveform_S = compose_scene("train-000001", pool, seed=1, split="train")
    read_S, _ = soundfile.read(tmp_path / audio_path("train-000001"), dtype="float32")
    assert np.abs(read_S - waveform_S).max() < 2**-14


def test_a_broken_run_goes_on(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_scenes(whole, lab.manifest, lab.labelling, count=8, development=0, seed=1)
    rendered: list[str] = []
    original = store.compose_scene

    def dying(name: str, *args: object, **options: object) -> object:
        rendered.append(name)
        if len(rendered) == 5:
            raise KeyboardInterrupt
        return original(name, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "compose_scene", dying)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(broken, lab.manifest, lab.labelling, count=8, development=0, seed=1)
    with (broken / "scenes.jsonl").open("a") as lines:
        lines.write('{"name": "train-0000')  # a line cut short
    (broken / audio_path("train-000002")).unlink()  # a file that was lost
    write_scenes(broken, lab.manifest, lab.labelling, count=8, development=0, seed=1)
    assert rendered[5:] == ["train-000002", *(f"train-{n:06d}" for n in range(5, 9))]
    assert bytes_of(broken) == bytes_of(whole)


def test_two_workers_write_the_same(lab: Lab, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write_scenes(one, lab.manifest, lab.labelling, count=12, development=0, seed=1)
    write_scenes(two, lab.manifest, lab.labelling, count=12, development=0, seed=1, workers=2)
    assert bytes_of(one) == bytes_of(two)


def test_what_was_held_out_is_kept_with_the_scenes(lab: Lab, tmp_path: Path) -> None:
    assert read_held_out(tmp_path) == frozenset()
    labelling = replace(lab.labelling, held_out=frozenset({"siren", "dog"}), duplicates={"a": "b"})
    for _ in range(2):  # the second run finds all there
        written = write_scenes(tmp_path, lab.manifest, labelling, count=4, development=0, held_out=1, seed=1)
        assert {e.sound for s in written if s.split == "train" for e in s.events}.isdisjoint(labelling.held_out)
        assert {e.sound for s in written if s.split == "held_out" for e in s.events} == labelling.held_out
        assert read_held_out(tmp_path) == labelling.held_out
    kept = json.loads((tmp_path / "compose.json").read_text())
    assert kept == {"seed": 1, "held_out": ["dog", "siren"], "duplicates": {"a": "b"}}
    with pytest.raises(DataError, match="other held-out sounds"):
        write_scenes(tmp_path, lab.manifest, lab.labelling, count=5, seed=1)
    assert json.loads((tmp_path / "compose.json").read_text()) == kept


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"held_out": 5}', '{"held_out": ["dgo"]}', "\x00"])
def test_a_damaged_composition_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "compose.json").write_text(content)
    with pytest.raises(DataError, match=r"compose\.json (is damaged|names a key)"):
        read_held_out(tmp_path)


def test_splits_that_have_no_recordings_have_no_scenes(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "USUAL", {"development": 3, "held_out": 2})
    written = write_scenes(tmp_path / "one", lab.manifest, lab.labelling, count=2, seed=1)
    names = [scene.name for scene in written if "-rec-" not in scene.name]
    assert names == ["train-000001", "train-000002", *(f"development-00000{n}" for n in (1, 2, 3))]
    assert "No development scenes" not in caplog.text
    rows = [json.loads(line) for line in lab.manifest.read_text().splitlines()]
    train = tmp_path / "train.jsonl"
    paths = [{**row, "path": str(lab.folder / row["path"])} for row in rows if row["fold"] == 1]
    train.write_text("".join(json.dumps(row) + "\n" for row in paths))
    assert len(write_scenes(tmp_path / "two", train, lab.labelling, count=2, seed=1)) == 2
    assert "No development scenes are composed" in caplog.text


def test_errors_name_the_way_out(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recordings of the split 'held_out'"):
        write_scenes(tmp_path, lab.manifest, lab.labelling, count=1, development=0, held_out=1, seed=1)
    write_scenes(tmp_path, lab.manifest, lab.labelling, count=1, development=0, seed=1)
    with pytest.raises(DataError, match="scenes of the seed 1, not 2"):
        write_scenes(tmp_path, lab.manifest, lab.labelling, count=1, development=0, seed=2)
    with pytest.raises(DataError, match="cannot be read"):
        read_scenes(tmp_path / "absent.jsonl")
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text('{"name": "a"}\n')
    with pytest.raises(DataError, match="line 1: not a scene"):
        read_scenes(damaged)
