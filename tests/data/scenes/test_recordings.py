"""Which recordings train and which are held back: whole take groups, never a file alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.scenes import phrases
from mellow.data.scenes.recordings import read_manifest, take_group
from mellow.errors import DataError

from ..conftest import row, sound

SHARED = Path(__file__).parents[3] / "shared" / "audio" / "manifest.jsonl"
Tables = Callable[..., None]


@pytest.mark.parametrize(
    ("source", "one", "other"),
    [
        ("esc50_16k", "1-100038-A-14", "1-100038-B-14"),
        ("noixer", "585463__guiller1220__20-crispetas", "585463__guiller1220__20-crispetas_s"),
        ("speech_cmds_snore", "00176480_nohash_0", "00176480_nohash_1"),
        ("noise_of_life", "cough-011", "cough-019"),
        ("berklee_olpc", "bell1", "bell_2a"),
        ("berklee_olpc", "bamboo_a#4_1", "bamboo_c3_2"),
        ("berklee_olpc", "trashcandragging2", "Trashcandragging"),
        ("kenney_rpg", "doorClose_1", "doorClose_4"),
        ("sonicpi", "arovane_beat_a", "arovane_beat_b"),
        ("sonicpi", "drum_tom_mid_hard", "drum_tom_mid_soft"),
    ],
)
def test_takes_of_one_recording_share_a_group(source: str, one: str, other: str) -> None:
    assert take_group(source, "label", f"x/{one}.wav") == take_group(source, "label", f"x/{other}.wav")


@pytest.mark.parametrize(
    ("source", "one", "other"),
    [
        ("esc50_16k", "x/1-100038-A-14", "x/1-100039-A-14"),
        ("speech_cmds_snore", "x/00176480_nohash_0", "x/00176481_nohash_0"),
        ("noise_of_life", "x/cough-009", "x/cough-010"),
        ("keystrokes_zoom", "x/0", "x/1"),
        ("berklee_olpc", "x/car_horn_1", "x/car_engine_1"),
        ("berklee_olpc", "x/bell", "x/bells_c3"),
        ("openclonk", "Animals.ocg/Die1", "Clonk.ocg/Die1"),
    ],
)
def test_different_recordings_do_not(source: str, one: str, other: str) -> None:
    assert take_group(source, "label", f"{one}.wav") != take_group(source, "label", f"{other}.wav")


def test_a_freesound_number_is_one_recording_in_every_source() -> None:
    assert take_group("esc10_44k", "dog", "a/2-131943-A.ogg") == take_group("esc50_16k", "crow", "b/3-131943-A-37.wav")


def write(folder: Path, *rows: str) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join(rows))
    return path


def test_fold_four_and_every_tenth_group_are_for_development(tmp_path: Path, tables: Tables) -> None:
    tables({"dog": sound("dog")}, {("esc50_16k", "dog"): (("dog",), "event"), ("toys", "dog"): (("dog",), "event")})
    esc = [row(f"e{n}", "dog", fold=1 + n % 4, origin=f"x/{1 + n % 4}-{10000 + n}-A-0.wav") for n in range(20)]
    toys = [
        row(
            f"t{n}{take}",
            "dog",
            fold=None,
            source="toys",
            origin=f"x/dog{'abcdefgh'[n % 8]}{'xyz'[n % 3]}{n}word_{take}.wav",
        )
        for n in range(300)
        for take in (1, 2)
    ]
    split_of = {r.path: r.split for r in read_manifest(write(tmp_path, *esc, *toys))}
    assert all((split_of[f"e{n}"] == "development") == (n % 4 == 3) for n in range(20))
    assert all(split_of[f"t{n}1"] == split_of[f"t{n}2"] for n in range(300))
    share = sum(split_of[f"t{n}1"] == "development" for n in range(300)) / 300
    assert 0.05 < share < 0.16


def test_development_never_takes_the_last_recording_of_a_sound(tmp_path: Path, tables: Tables) -> None:
    keys = [f"toy{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(120)]
    tables({key: sound(key) for key in keys}, {("toys", key): ((key,), "event") for key in keys})
    rows = [row(key, key, fold=None, source="toys", origin=f"x/{key}.wav") for key in keys]
    assert {r.split for r in read_manifest(write(tmp_path, *rows))} == {"train"}


def test_any_held_out_sound_holds_the_recording_out(tmp_path: Path, tables: Tables) -> None:
    labels = {("toys", "dog"): (("dog", "gong"), "event"), ("toys", "cat"): (("cat",), "event")}
    tables({key: sound(key) for key in ("dog", "cat", "gong")}, labels, frozenset({"gong"}))
    rows = [row(label, label, fold=None, source="toys", origin=f"x/{label}.wav") for label in ("dog", "cat")]
    assert [(r.path, r.split) for r in read_manifest(write(tmp_path, *rows))] == [("cat", "train"), ("dog", "held_out")]


def test_a_copy_follows_its_original(tmp_path: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    tables({"dog": sound("dog")}, {(source, "dog"): (("dog",), "event") for source in ("esc50_16k", "toys")})
    monkeypatch.setattr(phrases, "duplicates", lambda: {"copy": "original", "lost": "nowhere"})
    original = row("original", "dog", fold=4, origin="x/4-10000-A-0.wav")
    others = [row(name, "dog", fold=None, source="toys", origin=f"x/{name}.wav") for name in ("copy", "lost")]
    split_of = {r.path: r.split for r in read_manifest(write(tmp_path, original, *others))}
    assert split_of == {"original": "development", "copy": "development", "lost": "train"}


def test_rows_without_a_label_entry_are_left_out_and_counted(
    tmp_path: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    tables({"dog": sound("dog")}, {("toys", "dog"): (("dog",), "event")})
    rows = [row(label, label, fold=None, source="toys", origin=f"x/{label}.wav") for label in ("dog", "cat")]
    with caplog.at_level("INFO"):
        recordings = read_manifest(write(tmp_path, *rows))
    assert [r.sounds for r in recordings] == [("dog",)]
    assert "1 of 2 recordings" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "line 1: not JSON"), ("[]", "line 1: not an object"), ('{"path": "a"}', "line 1: no 'source'")],
)
def test_damaged_manifests_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_manifest(write(tmp_path, line + "\n"))
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "absent.jsonl")


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings of ../shared/audio are not here")
def test_the_real_manifest_splits_by_recording() -> None:
    recordings = read_manifest(SHARED)
    rows = {r["path"]: r for r in map(json.loads, SHARED.read_text().splitlines())}
    groups: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        origin = rows[recording.path]["origin"]
        if recording.split != "held_out" and recording.path not in phrases.duplicates():
            groups[take_group(recording.source, rows[recording.path]["label"], origin)].add(recording.split)
        assert (recording.split == "held_out") >= bool(phrases.HELD_OUT & set(recording.sounds))
    assert all(len(splits) == 1 for splits in groups.values())
    count = Counter(recording.split for recording in recordings)
    assert 0.08 < count["development"] / count["train"] < 0.25
    known = {key for recording in recordings if recording.split == "train" for key in recording.sounds}
    assert not known & phrases.HELD_OUT
    assert {r.sounds[0] for r in recordings if r.split == "development"} <= known
