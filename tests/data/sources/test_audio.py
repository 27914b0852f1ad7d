"""Finding clips by the names that tables give, and counting those that are absent."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from mellow.data.records import CaptionedClip, Record
from mellow.data.sources.audio import AudioRoot, clip_key, clip_path
from mellow.data.sources.report import ABSENT, SourceReport, deliver
from mellow.errors import DataError


def root_with(folder: Path, *names: str, **options: Any) -> AudioRoot:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return AudioRoot(folder, **options)


@pytest.mark.parametrize(
    ("on_disk", "named"),
    [
        ("AudioCaps/test/Y6BJ455B1aAs.wav", "AudioCapsLarger/test/Y6BJ455B1aAs.wav"),
        ("6BJ455B1aAs.flac", "Y6BJ455B1aAs"),
        ("Y6BJ455B1aAs.FLAC", "6BJ455B1aAs.wav"),
        ("YbcdefghijK.wav", "YYbcdefghijK.wav"),  # an id that begins with Y itself
        ("deep/er/Ambiance Quiet_bip.wav", "ClothoAQA\\audio_files\\Ambiance Quiet_bip.wav"),
        ("ClothoV21/validation/ e ieio ieai.wav", "ClothoV21/validation/e ieio ieai.wav"),
        (unicodedata.normalize("NFD", "Café.wav"), "Café.wav"),
        ("a.b.wav", "x/a.b"),
        ("Yellow.opus", "Yellow.wav"),
    ],
)
def test_names_that_mean_the_same_clip(tmp_path: Path, on_disk: str, named: str) -> None:
    assert root_with(tmp_path, on_disk).find(named) == on_disk


@pytest.mark.parametrize("named", ["Y6bj455B1aAs.wav", "notes", "sub", "", "other.wav", "../a.wav"])
def test_names_of_no_clip(tmp_path: Path, named: str) -> None:
    assert root_with(tmp_path, "6BJ455B1aAs.wav", "notes.txt", "sub/x.wav").find(named) is None


def test_of_several_the_likest_folder(tmp_path: Path) -> None:
    root = root_with(tmp_path, "b/test/x.wav", "a/val/x.wav", "a/val/x.flac")
    assert root.find("A/test/x.wav") == "b/test/x.wav"
    assert root.find("a/val/x.wav") == "a/val/x.wav"
    assert root.find("a/x.wav") == "a/val/x.flac"


def test_clips_of_one_name_in_two_splits(tmp_path: Path) -> None:
    """Never the clip of another split, nor one of two when the table does not say which."""
    root = root_with(tmp_path, "clotho/development/Bus.wav", "clotho/evaluation/Bus.wav", "clotho/evaluation/Dog.wav")
    assert root.find("ClothoV21/development/Bus.wav") == "clotho/development/Bus.wav"
    assert root.find("ClothoV21/evaluation/Bus.wav") == "clotho/evaluation/Bus.wav"
    assert root.find("ClothoV21/validation/Bus.wav") is None
    assert root.find("ClothoV21/development/Dog.wav") is None
    assert root.find("ClothoAQA/audio_files/Bus.wav") is None
    assert root.find("ClothoAQA/audio_files/Dog.wav") == "clotho/evaluation/Dog.wav"
    own = root_with(tmp_path / "own", "ClothoAQA/audio_files/Bus.wav", "clotho/evaluation/Bus.wav")
    assert own.find("ClothoAQA\\audio_files\\Bus.wav") == "ClothoAQA/audio_files/Bus.wav"
    assert root_with(tmp_path / "flat", "Bus.wav").find("ClothoV21/validation/Bus.wav") == "Bus.wav"


def test_a_blank_before_the_extension_is_another_clip(tmp_path: Path) -> None:
    root = root_with(tmp_path, "Knocking.wav")
    assert root.find("ClothoV21/validation/Knocking .wav") is None
    assert root.find("ClothoV21/development/Knocking.wav") == "Knocking.wav"


def test_links_that_lead_back(tmp_path: Path) -> None:
    root = root_with(tmp_path, "a/x.wav")
    os.symlink(tmp_path, tmp_path / "a" / "loop", target_is_directory=True)
    assert root.find("x.wav") == "a/x.wav"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^The audio folder '.*no' is not there; name the folder that holds the clips"):
        AudioRoot(tmp_path / "no")


def test_paths_stay_inside() -> None:
    assert clip_path("C:\\data\\x.wav", where="") == "data/x.wav"
    assert clip_path("//server/x..y.wav", where="") == "server/x..y.wav"
    for name in ("a/../x.wav", "..\\x.wav", ".."):
        with pytest.raises(DataError, match=r"^here: the audio path .* leads out of the data set; remove its '\.\.'"):
            clip_path(name, where="here")


def test_keys_are_of_names_only() -> None:
    assert clip_key("a\\b/Y6BJ455B1aAs.wav") == clip_key("6BJ455B1aAs") == "6BJ455B1aAs"
    assert clip_key(".wav") == ".wav"


# --- counting ---------------------------------------------------------------------------------------------------------


def pair(*clips: str) -> Record:
    return Record("q", "a", clips)


def test_absent_clips_are_counted_once_and_kept(tmp_path: Path) -> None:
    root, report = root_with(tmp_path, "in/a.wav"), SourceReport()
    made = [
        item for clips in (("a.wav", "b.wav"), ("b.wav",), ("a.wav",)) for item in deliver(pair(*clips), root, report)
    ]
    assert [record.audio for record in made] == [("in/a.wav", "b.wav"), ("b.wav",), ("in/a.wav",)]
    assert (report.present, report.absent, report.kept) == ({"a.wav"}, {"b.wav"}, 3)


def test_absent_clips_are_left_out_if_wanted(tmp_path: Path) -> None:
    root, report = root_with(tmp_path, "a.wav", keep_absent=False), SourceReport()
    made = [
        item for name in ("a.wav", "b.wav") for item in deliver(CaptionedClip(name, ("x",), "s", "val"), root, report)
    ]
    assert [clip.audio for clip in made] == ["a.wav"]
    assert report.left_out == {ABSENT: 1}
    assert report.kept == 1


def test_without_a_folder_nothing_is_looked_for() -> None:
    report = SourceReport()
    assert list(deliver(pair("a.wav"), None, report)) == [pair("a.wav")]
    assert not report.present
    assert not report.absent


def test_hours_in_full_and_by_10_s(tmp_path: Path, tone: Any) -> None:
    (tmp_path / "long.wav").write_bytes(tone(seconds=18.0).read_bytes())
    (tmp_path / "short.wav").write_bytes(tone(seconds=3.6).read_bytes())
    root, report = root_with(tmp_path, "broken.wav", measure=True), SourceReport()
    for clips in (("long.wav", "short.wav"), ("long.wav",), ("broken.wav",)):
        list(deliver(pair(*clips), root, report))
    assert report.seconds == pytest.approx(21.6)
    assert report.short_seconds == pytest.approx(13.6)
    assert report.to_dict()["hours"] == 0.01
