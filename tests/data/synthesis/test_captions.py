"""Captions are read from anybody's JSONL and CSV; what is wrong is named with its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.records import CaptionedClip
from mellow.data.synthesis.captions import Caption, captions_of, read_captions
from mellow.errors import DataError


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_jsonl(tmp_path: Path) -> None:
    rows = [
        {
            "audio": "a\\b.wav",
            "captions": ["Rain falls", "It rains"],
            "source": "clotho",
            "split": "val",
            "licence": "CC0",
        },
        {"caption": "A dog\nbarks", "file_name": "d.wav", "seconds": 3.5},
        {"caption": "Only words"},
    ]
    path = write(tmp_path / "c.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert list(read_captions(path)) == [
        Caption("Rain falls", "a/b.wav", "clotho", "val", "CC0"),
        Caption("It rains", "a/b.wav", "clotho", "val", "CC0"),
        Caption("A dog\nbarks", "d.wav"),
        Caption("Only words"),
    ]


def test_csv(tmp_path: Path) -> None:
    text = '\ufefffile_name,caption,keywords\r\n"a, b.wav","She says ""rain""\nand leaves",x\r\nc.wav,A café,\r\n'
    path = write(tmp_path / "c.CSV", text)
    assert list(read_captions(path)) == [
        Caption('She says "rain"\nand leaves', "a, b.wav"),
        Caption("A café", "c.wav"),
    ]


def test_captioned_clips() -> None:
    clip = CaptionedClip("a.wav", ("One", "Two"), "clotho", "test", "MIT")
    assert [caption.text for caption in captions_of(clip)] == ["One", "Two"]
    assert {(c.audio, c.source, c.split, c.licence) for c in captions_of(clip)} == {("a.wav", "clotho", "test", "MIT")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "caption\nx\n", r"must be a \.jsonl or \.csv file"),
        ("c.csv", "file,text\na.wav,Rain\n", "no column caption, but file, text"),
        ("c.csv", "", "no column caption, but nothing"),
        ("c.csv", "file,caption\na.wav,Rain, then hail\n", "line 2: not 2 columns"),
        ("c.csv", "file,caption\na.wav\n", "line 2: not 2 columns"),
        ("c.csv", 'file,caption\na.wav,"Rain\n', "after line 1: not CSV"),
        ("c.csv", "file,caption\na.wav, \n", "line 2: the caption is missing or empty"),
        ("c.csv", "file,caption\na.wav,café\n".encode("latin-1"), "not UTF-8 text"),
        ("c.csv", "file,caption\na.wav,Rain\n".encode("utf-16"), "not UTF-8 text"),
        ("c.csv", "caption,split\nRain,dev\n", "the split 'dev' is unknown; use train, val, test"),
        ("c.csv", f"caption\n{'rain ' * 1000}\n", "the caption has 5000 characters"),
        ("c.jsonl", '{"caption": "Rain"}\n{"caption": \n', "line 2: not JSON"),
        ("c.jsonl", '["Rain"]\n', "line 1: not an object"),
        ("c.jsonl", '{"text": "Rain"}\n', "line 1: the caption is missing"),
        ("c.jsonl", '{"captions": "Rain"}\n', "'captions' is not a list"),
        ("c.jsonl", '{"captions": ["Rain", 3]}\n', "the caption is missing or empty"),
        ("c.jsonl", '{"caption": "Rain", "audio": 3}\n', "'audio' is not a string"),
        ("c.jsonl", '{"caption": "Rain \\ud800"}\n', "characters that are no text"),
    ],
)
def test_what_is_wrong_is_named(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        list(read_captions(write(tmp_path / name, text)))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\)"):
        list(read_captions(tmp_path / "c.csv"))


def test_real_tables(shared: Callable[[str], Path]) -> None:
    captions = list(read_captions(shared("text/samples/audiocaps_val_head.csv")))
    assert captions[1].text == "An audience gives applause as a man yells and a group sings"
    assert len(captions) > 20
