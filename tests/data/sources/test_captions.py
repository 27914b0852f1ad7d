"""AudioCaps, Clotho and WavCaps: clips, counts, and every row accounted for."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mellow.data.records import CaptionedClip
from mellow.data.sources import audiocaps, clotho, wavcaps
from mellow.data.sources.report import SourceReport

AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n"
CLOTHO = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"


# --- AudioCaps --------------------------------------------------------------------------------------------------------


def test_captions_of_a_clip_stand_apart(put: Any) -> None:
    path = put("val.csv", AUDIOCAPS + "1,-abcdefghij,30,A dog\n2,Ybcdefghijk,0,A cat\n3,-abcdefghij,30,A hound\n")
    report = SourceReport()
    made = list(audiocaps.read(path, report=report))
    assert made == [
        CaptionedClip(
            "AudioCapsLarger/val/Y-abcdefghij.wav", ("A dog", "A hound"), "audiocaps", "val", "MIT", seconds=10.0
        ),
        CaptionedClip("AudioCapsLarger/val/YYbcdefghijk.wav", ("A cat",), "audiocaps", "val", "MIT", seconds=10.0),
    ]
    assert (report.rows, report.kept, report.seconds) == (3, 2, 20.0)


def test_one_caption_a_clip_as_the_paper_counts_val(put: Any) -> None:
    rows = "".join(f"{number},{clip},0,x{number}\n" for number, clip in enumerate(["a", "b", "a", "a", "b"]))
    report = SourceReport()
    made = list(audiocaps.read(put("val.csv", AUDIOCAPS + rows), captions_per_clip=1, report=report))
    assert [clip.captions for clip in made] == [("x0",), ("x1",)]
    assert report.left_out == {"caption beyond captions_per_clip": 3}


def test_empty_captions_are_counted(put: Any) -> None:
    report = SourceReport()
    rows = "1,a,0, \n2,,0,x\n3,b,0,y\n"
    assert len(list(audiocaps.read(put("train.csv", AUDIOCAPS + rows), report=report))) == 1
    assert report.left_out == {"empty caption": 1, "no clip named": 1}


def test_repeated_ids_are_refused(put: Any, fails: Any) -> None:
    path = put("train.csv", AUDIOCAPS + "1,a,0,x\n2,b,0,y\n1,c,0,z\n")
    assert fails(audiocaps.read(path)) == (
        "train.csv, line 4: the audiocap_id '1' is in line 2 already; remove one of them."
    )


def test_the_split_is_in_the_name_or_given(put: Any, fails: Any) -> None:
    path = put("captions.csv", AUDIOCAPS + "1,a,0,x\n")
    assert fails(audiocaps.read(path)) == (
        "The name of captions.csv does not tell its split; say whether it is train, val or test."
    )
    assert next(audiocaps.read(path, split="test")).split == "test"


def test_the_head_of_the_published_validation(shared: Any) -> None:
    report = SourceReport()
    made = list(audiocaps.read(shared("text/samples/audiocaps_val_head.csv"), report=report))
    assert (report.rows, len(made)) == (50, 49)
    assert sum(len(clip.captions) for clip in made) == 50
    assert made[0].audio == "AudioCapsLarger/val/YvfY_TJq7n_U.wav"


# --- Clotho -----------------------------------------------------------------------------------------------------------


def test_the_head_of_clotho_validation(shared: Any) -> None:
    report = SourceReport()
    made = list(clotho.read(shared("text/samples/clotho_val_head.csv"), report=report))
    assert report.rows == len(made) == 30
    assert all(len(clip.captions) == 5 for clip in made)
    assert made[0].audio.startswith("ClothoV21/validation/noisy stuff groceries")
    assert made[0].split == "val"


def test_names_with_outer_blanks_stay_as_they_are(put: Any) -> None:
    path = put("clotho_captions_validation.csv", CLOTHO + " e ieio ieai.wav,a,b,c,d,e\n")
    assert next(clotho.read(path)).audio == "ClothoV21/validation/ e ieio ieai.wav"


def test_missing_captions_and_repeated_names(put: Any, fails: Any) -> None:
    report = SourceReport()
    path = put("clotho_captions_evaluation.csv", CLOTHO + "x.wav,a,b,c,d,\ny.wav,,,,,\n,a,b,c,d,e\n")
    (clip,) = clotho.read(path, report=report)
    assert (clip.split, clip.captions) == ("test", ("a", "b", "c", "d"))
    assert report.left_out == {"no caption": 1, "no clip named": 1}
    assert report.noted == {"fewer than five captions": 1}
    path = put("clotho_captions_evaluation.csv", CLOTHO + "x.wav,a,b,c,d,e\nx.wav,a,b,c,d,e\n")
    assert fails(clotho.read(path)).endswith("line 3: the file_name 'x.wav' is in line 2 already; remove one of them.")


# --- WavCaps ----------------------------------------------------------------------------------------------------------


def collection(*clips: dict[str, Any]) -> str:
    return json.dumps({"num_captions_per_audio": 1, "data": [{"audio": "wav_path", **clip} for clip in clips]})


def test_the_head_of_soundbible(shared: Any, tmp_path: Path) -> None:
    source = shared("text/samples/wavcaps_soundbible_head.json")
    count = len(json.loads(source.read_text())["data"])
    report = SourceReport()
    made = list(wavcaps.read(source, report=report))
    assert report.rows == len(made) == count == 20
    assert (made[0].captions, made[0].seconds) == (("An airplane is landing.",), 14.1424375)
    assert made[0].audio == "WavCaps/2219.flac"
    assert report.to_dict()["hours_by_10_s"] < report.to_dict()["hours"]
    packed = tmp_path / "sb_final.json.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    assert next(wavcaps.read(packed)).audio == "WavCaps/SoundBible/2219.flac"


BLACKLIST = json.dumps({"AudioSet": ["Yr1nicOVtvkQ.wav"], "FreeSound": ["156", "2219"]})


@pytest.mark.parametrize(
    ("name", "clips", "left"),
    [
        ("as_final.json", ["Yr1nicOVtvkQ.wav", "YUDGBjjwyaqE.wav"], ["WavCaps/AudioSet_SL/YUDGBjjwyaqE.wav"]),
        ("fsd_final.json", ["156", "1560"], ["WavCaps/FreeSound/1560.flac"]),
        ("sb_final.json", ["2219"], ["WavCaps/SoundBible/2219.flac"]),  # numbers of another collection
    ],
)
def test_the_blacklist_is_honoured_and_counted(put: Any, name: str, clips: list[str], left: list[str]) -> None:
    path = put(name, collection(*({"id": clip, "caption": "x", "duration": 20} for clip in clips)))
    blacklist = put("blacklist.json", BLACKLIST)
    for given in (blacklist, wavcaps.read_blacklist(blacklist)):
        report = SourceReport()
        assert [clip.audio for clip in wavcaps.read(path, blacklist=given, report=report)] == left
        assert report.left_out["on the blacklist"] == len(clips) - len(left)
        assert report.rows == len(clips)
    assert len(list(wavcaps.read(path))) == len(clips)


def test_paths_of_ones_own(put: Any) -> None:
    path = put("sb_final.json", collection({"id": 3, "caption": "x", "duration": 1, "audio": "mine\\3.wav"}))
    assert next(wavcaps.read(path)).audio == "mine/3.wav"


@pytest.mark.parametrize(
    ("clip", "sentence"),
    [
        ({"caption": "x"}, "the field 'id' is missing or not a text, so this is no WavCaps file"),
        ({"id": "1", "caption": None}, "the field 'caption' is missing or not a text, so this is no WavCaps file"),
        ({"id": "1", "caption": "x", "duration": "long"}, "the duration 'long' is not a number of seconds"),
        ({"id": "1", "caption": "x", "duration": float("nan")}, "the duration nan is not a number of seconds"),
        ({"id": "../1", "caption": "x"}, "the audio path '../1' leads out of the data set; remove its '..'"),
    ],
)
def test_broken_clips(put: Any, fails: Any, clip: dict[str, Any], sentence: str) -> None:
    assert fails(wavcaps.read(put("sb_final.json", collection(clip)))) == f"sb_final.json, line 1: {sentence}."


def test_broken_blacklists(put: Any, fails: Any) -> None:
    path = put("sb_final.json", collection())
    assert "is not JSON" in fails(wavcaps.read(path, blacklist=put("b.json", "{")))
    assert "is not a blacklist" in fails(wavcaps.read(path, blacklist=put("b.json", '["1"]')))
