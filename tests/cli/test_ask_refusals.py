"""Every bad clip and question ends `mellow ask` with one sentence and exit code 2, before any model is loaded."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 16_000
Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model fails the test: all of this must be told before."""

    def load(name: str) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("mellow.load", load, raising=False)


def wav(samples: np.ndarray, rate: int = RATE, **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", **how})
    return file.getvalue()


def noise(seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def with_nan() -> bytes:
    samples = noise()
    samples[8_000] = np.nan
    return wav(samples, subtype="FLOAT")


def lying_flac() -> bytes:
    """A header that claims 2^36 - 1 samples."""
    data = wav(noise(), format="FLAC")
    fields = int.from_bytes(data[18:26], "big") >> 36 << 36 | (2**36 - 1)
    return data[:18] + fields.to_bytes(8, "big") + data[26:]


def with_rate(rate: int) -> bytes:
    data = wav(noise())
    return data[:24] + struct.pack("<I", rate) + data[28:]


BAD_CLIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "truncated": (lambda: wav(noise(), format="FLAC")[:9_000], "cut short"),
    "truncated wav": (lambda: wav(noise())[:9_000], "cut short"),
    "text": (lambda: b"this is not a recording\n" * 99, "is not audio"),
    "nan": (with_nan, "at 0.500 s"),
    "no frames": (lambda: wav(noise()[:0]), "holds no samples"),
    "lying header": (lying_flac, "its header claims"),
    "1 Hz": (lambda: with_rate(1), "1 Hz"),
    "2 GHz": (lambda: with_rate(2_000_000_000), "2000000000 Hz"),
}


@pytest.mark.parametrize("kind", BAD_CLIPS)
def test_bad_clips(kind: str, tmp_path: Path, refusal: Refusal) -> None:
    make, words = BAD_CLIPS[kind]
    path = tmp_path / "clip.wav"
    path.write_bytes(make())
    message = refusal("ask", path, "What is it?")
    assert words in message
    assert str(path) in message


def test_missing_clip_is_told_in_a_second(tmp_path: Path) -> None:
    code = "from mellow.cli import main; main()"
    command = [sys.executable, "-c", code, "ask", str(tmp_path / "none.wav"), "What is it?"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: There is no file {str(tmp_path / 'none.wav')!r}; check the path.\n"
    assert seconds < 5  # 0.5 s on an idle machine; loading torch alone takes longer than this on a busy one


def test_second_clip_is_checked_too(tone: Any, tmp_path: Path, refusal: Refusal) -> None:
    assert "none.wav" in refusal("ask", tone(), tmp_path / "none.wav", "What is it?")


def test_directory_as_a_clip(tmp_path: Path, refusal: Refusal) -> None:
    assert "is a directory" in refusal("ask", tmp_path, "What is it?")


def test_ten_hours(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "silence.flac"
    minute = np.zeros(60 * 8_000, np.int16)
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
        for _ in range(600):
            file.write(minute)
    assert "is longer than 3600 s" in refusal("ask", path, "What is it?")


def test_names_with_brackets_and_control_characters_are_told_as_they_are(tmp_path: Path, refusal: Refusal) -> None:
    assert "[red]x[/red] {0} %s.wav" in refusal("ask", tmp_path / "[red]x[/red] {0} %s.wav", "What is it?")
    message = refusal("ask", tmp_path / "a\nb\x1b[31mc.wav", "What is it?")
    assert "\x1b" not in message
    message = refusal("ask", "x" * 5_000, "What is it?")
    assert len(message) < 700


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_empty_question(question: str, tone: Any, refusal: Refusal) -> None:
    assert "question is empty" in refusal("ask", tone(), question)


@pytest.mark.parametrize("question", ["why? " * 200_000, "a) x b) " * 125_000, "x" * 1_000_000])
def test_question_of_a_million_characters(question: str, tone: Any, refusal: Refusal) -> None:
    started = time.perf_counter()
    message = refusal("ask", tone(), question)
    assert "characters; at most 20,000" in message
    assert time.perf_counter() - started < 5


def test_number_of_clips(tone: Any, refusal: Refusal) -> None:
    assert "3 were given" in refusal("ask", tone(), tone(), tone(), "Same?")
    assert "in quotes" in refusal("ask", tone(), "What", "sound", "is", "this?")
    assert refusal("ask", "What is it?") == "A clip and a question are needed, but only 'What is it?' was given."
    assert refusal("ask", tone()).startswith(f"A question is missing; for example: mellow ask {tone()} ")
    assert refusal("ask") == 'A clip and a question are needed: mellow ask siren.flac "What sound is this?".'
    assert refusal("ask", "What is it?", tone()).endswith(f"but '{tone()}' is one; the question comes last.")


def test_options(tone: Any, refusal: Refusal) -> None:
    assert "at least two options" in refusal("ask", tone(), "Which?", "--choice", "dog")
    assert "options is empty" in refusal("ask", tone(), "Which?", "--choice", "dog", "--choice", " ")
    assert "All options are 'dog'" in refusal("ask", tone(), "Which?", "--choice", "dog", "--choice", "Dog")
    assert "characters" in refusal("ask", tone(), "Which?", "--choice", "dog", "--choice", "c" * 30_000)


def test_flags_without_what_they_are_about(tone: Any, refusal: Refusal) -> None:
    for flag in (("--constrained",), ("--abstain-below", "0.5")):
        assert "give --choice once for each" in refusal("ask", tone(), "Which?", *flag)
    assert "no effect without --sample" in refusal("ask", tone(), "Which?", "--seed", "3")


@pytest.mark.parametrize(
    "option",
    [
        ("--max-new-tokens", "0"),
        ("--max-new-tokens", "many"),
        ("--max-new-tokens", str(10**9)),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--seed", "1" * 400),
        ("--seed", "1" * 5_000),
        ("--abstain-below", "nan"),
        ("--bogus",),
        ("--model",),
    ],
)
def test_bad_options(option: tuple[str, ...], tone: Any, refusal: Refusal) -> None:
    message = refusal("ask", tone(), "What is it?", *option)
    assert option[0] in message
    assert len(message) < 250


def test_standard_input(refusal: Refusal) -> None:
    assert "'standard input' is empty" in refusal("ask", "-", "What is it?")
    assert "'standard input' is not audio" in refusal("ask", "-", "What is it?", stdin=b"no sound" * 99)
    assert "standard input" in refusal("ask", "-", "-", "Same?")
