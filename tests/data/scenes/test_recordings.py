"""Which recordings train and which are held back: whole take groups, never a file alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.data.scenes.labels import Labelling, LabelTable
from mellow.data.scenes.recordings import read_recordings, recordings_folder, take_group
from mellow.errors import DataError

from ..conftest import HELD_OUT, MINI, row, sound

Table = Callable[..., None]


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


def test_fold_four_and_every_tenth_group_are_for_development(tmp_path: Path, table: Table) -> None:
    table({"dog": sound("dog")})
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
    split_of = {r.path: r.split for r in read_recordings(write(tmp_path, *esc, *toys))}
    assert all((split_of[f"e{n}"] == "development") == (n % 4 == 3) for n in range(20))
    assert all(split_of[f"t{n}1"] == split_of[f"t{n}2"] for n in range(300))
    share = sum(split_of[f"t{n}1"] == "development" for n in range(300)) / 300
    assert 0.05 < share < 0.16


def test_development_never_takes_the_last_recording_of_a_sound(tmp_path: Path, table: Table) -> None:
    keys = [f"toy{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(120)]
    table({key: sound(key) for key in keys})
    rows = [row(key, key, fold=None, source="toys", origin=f"x/{key}.wav") for key in keys]
    assert {r.split for r in read_recordings(write(tmp_path, *rows))} == {"train"}


def test_any_held_out_sound_holds_the_recording_out(tmp_path: Path, table: Table) -> None:
    labels = {("toys", "dog"): (("dog", "gong"), "event"), ("toys", "cat"): (("cat",), "event")}
    table({key: sound(key) for key in ("dog", "cat", "gong")})
    rows = [row(label, label, fold=None, source="toys", origin=f"x/{label}.wav") for label in ("dog", "cat")]
    found = read_recordings(write(tmp_path, *rows), Labelling(labels, frozenset({"gong"})))  # type: ignore[arg-type]
    assert [(r.path, r.split) for r in found] == [("cat", "train"), ("dog", "held_out")]


def test_a_copy_follows_its_original(tmp_path: Path, table: Table) -> None:
    table({"dog": sound("dog")})
    labelling = Labelling(duplicates={"copy": "original", "lost": "nowhere"})
    original = row("original", "dog", fold=4, origin="x/4-10000-A-0.wav")
    others = [row(name, "dog", fold=None, source="toys", origin=f"x/{name}.wav") for name in ("copy", "lost")]
    split_of = {r.path: r.split for r in read_recordings(write(tmp_path, original, *others), labelling)}
    assert split_of == {"original": "development", "copy": "development", "lost": "train"}


# --- what a row needs -------------------------------------------------------------------------------------------------


def lines(*rows: dict[str, Any]) -> list[str]:
    return [json.dumps(row) + "\n" for row in rows]


def test_a_row_of_any_source_needs_a_path_and_a_label(tmp_path: Path) -> None:
    labels: LabelTable = {
        ("", "hound"): (("dog", "bark"), "event"),
        ("field", "hound"): (("growling",), "event"),
        ("", "wet"): (("rain",), "background"),
    }
    rows = [{"path": "a", "label": "hound"}, {"path": "b", "label": "hound", "source": "field"}]
    rows += [{"path": "c", "label": "wet", "source": "field"}]
    found = read_recordings(write(tmp_path, *lines(*rows)), Labelling(labels))
    assert [(r.sounds, r.kind) for r in found] == [
        (("dog", "bark"), "event"),
        (("growling",), "event"),
        (("rain",), "background"),
    ]


@pytest.mark.parametrize("labels", [None, {("", "hound"): (("cat",), "event")}])
def test_a_row_may_give_its_keys_itself(tmp_path: Path, labels: LabelTable | None) -> None:
    rows = [
        {"path": "a", "keys": ["dog", "bark"], "label": "hound"},
        {"path": "b", "keys": "rain, water", "kind": "background"},
    ]
    found = read_recordings(write(tmp_path, *lines(*rows)), Labelling(labels))
    assert [(r.sounds, r.kind) for r in found] == [(("dog", "bark"), "event"), (("rain", "water"), "background")]


def test_takes_can_be_named(tmp_path: Path) -> None:
    """File names that look like takes of one recording are others where the row says so, and the other way round."""
    rows = [{"path": f"dog_{n}.wav", "label": "dog"} for n in range(200)]
    assert {r.split for r in read_recordings(write(tmp_path, *lines(*rows)))} == {"train"}
    named = [{**row, "group": f"day {n}"} for n, row in enumerate(rows)]
    assert 5 < sum(r.split == "development" for r in read_recordings(write(tmp_path, *lines(*named)))) < 40


def test_a_folder_of_folders(tmp_path: Path) -> None:
    for name in (
        "hound/1.wav",
        "hound/deep/2.OPUS",
        "wet/a.mp3",
        "hound/notes.txt",
        ".git/3.wav",
        "wet/._a.mp3",
        "b.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labels: LabelTable = {("", "hound"): (("dog",), "event"), ("", "wet"): (("rain",), "background")}
    found = read_recordings(tmp_path, Labelling(labels))
    assert [(r.path, r.sounds[0]) for r in found] == [
        ("hound/1.wav", "dog"),
        ("hound/deep/2.OPUS", "dog"),
        ("wet/a.mp3", "rain"),
    ]
    assert recordings_folder(tmp_path) == recordings_folder(tmp_path / "manifest.jsonl") == tmp_path


def test_labels_without_a_meaning_are_counted_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = lines(*({"path": f"{n}", "label": f"label {n:02}"} for n in range(14)), {"path": "d", "label": "hound"})
    found = read_recordings(write(tmp_path, *rows), Labelling({("", "hound"): (("dog",), "event")}))
    assert [r.sounds for r in found] == [("dog",)]
    assert "14 of 15 recordings" in caplog.text
    assert "'label 00', 'label 01'" in caplog.text and "'label 09' and 4 more" in caplog.text


def test_nothing_that_is_known_is_an_error(tmp_path: Path) -> None:
    manifest = write(tmp_path, *lines({"path": "a", "label": "hound"}, {"path": "b", "label": "wet"}))
    with pytest.raises(DataError, match=r"2 of the 2 recordings of .* hold; .*--labels.* 'hound', 'wet', or .* keys"):
        read_recordings(manifest)
    with pytest.raises(DataError, match=r"1 of the 2 recordings of .* for 'hound'"):
        read_recordings(write(tmp_path, *lines({"path": "a", "label": "hound"}, {"path": "b", "label": "dog"})))
    write(tmp_path, *lines({"path": "a", "label": "hound"}, {"path": "b", "label": "wet"}))
    with pytest.raises(DataError, match=r"none of the labels of .*: 'hound', 'wet'"):
        read_recordings(manifest, Labelling({("", "cat"): (("cat",), "event")}))
    with pytest.raises(DataError, match="has no recordings"):
        read_recordings(write(tmp_path, "\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no recordings"):
        read_recordings(tmp_path / "empty")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("[]", "line 2: not an object"),
        ('{"label": "a"}', "line 2: no 'path'"),
        ('{"path": 5}', "line 2: no 'path'"),
        ('{"path": "first", "label": "dog"}', "line 2: the recording 'first' appears twice"),
        ('{"path": "a", "label": 5}', "line 2: the field 'label' is no text"),
        ('{"path": "a", "keys": 5}', "line 2: the field 'keys' is no list"),
        ('{"path": "a", "keys": ["dgo", "dog", "ctas"]}', r"names 2 keys .*\('ctas', 'dgo'\)"),
        ('{"path": "a", "keys": [["dog"]]}', "names a key"),
        ('{"path": "a", "keys": "dog", "kind": "noise"}', "'noise' is no kind"),
    ],
)
def test_damaged_manifests_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_recordings(write(tmp_path, *lines({"path": "first", "label": "dog"}), line + "\n"))


def test_unreadable_manifests_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_recordings(tmp_path / "absent.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_recordings(tmp_path / "binary.jsonl")


# --- the recordings of the bundled model ------------------------------------------------------------------------------


def test_the_real_manifest_splits_by_recording(shared: Callable[[str], Path]) -> None:
    manifest = shared("audio/manifest.jsonl")
    names = {"labels": "labels.tsv", "held_out": "held_out.txt", "duplicates": "duplicates.tsv"}
    labelling = Labelling.read(**{name: MINI / file for name, file in names.items()})
    recordings = read_recordings(manifest, labelling)
    rows = {r["path"]: r for r in map(json.loads, manifest.read_text().splitlines())}
    groups: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        row = rows[recording.path]
        if recording.split != "held_out" and recording.path not in labelling.duplicates:
            groups[take_group(row["source"], row["label"], row["origin"])].add(recording.split)
        assert (recording.split == "held_out") >= bool(HELD_OUT & set(recording.sounds))
    assert all(len(splits) == 1 for splits in groups.values())
    count = Counter(recording.split for recording in recordings)
    assert 0.08 < count["development"] / count["train"] < 0.25
    known = {key for recording in recordings if recording.split == "train" for key in recording.sounds}
    assert not known & HELD_OUT
    assert {r.sounds[0] for r in recordings if r.split == "development"} <= known
