"""Every bad recording of the robustness table: one sentence that names it, in little time and memory."""

from __future__ import annotations

import io
import os
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellow.audio import load
from mellow.errors import AudioError

RATE_AT, BYTES_AT = 24, 40  # offsets in a plain wav header
STREAMINFO_LENGTH_AT = 18  # 28 bits of rate, channels and depth, then 36 bits of sample count, in 8 bytes


def refusal(source: Any, **how: Any) -> str:
    """The message of the AudioError that loading raises, checked for being one sentence without a newline."""
    with pytest.raises(AudioError) as caught:
        load(source, 16_000, **how)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert message[0] in "'T"  # a quoted name, or "There is", "The path"
    assert message.count("; ") == 1  # what is wrong; the way out
    return message


def with_u32(wav: bytes, at: int, value: int) -> bytes:
    return wav[:at] + struct.pack("<I", value) + wav[at + 4 :]


def with_flac_length(flac: bytes, samples: int) -> bytes:
    at = STREAMINFO_LENGTH_AT
    fields = int.from_bytes(flac[at : at + 8], "big") >> 36 << 36 | samples
    return flac[:at] + fields.to_bytes(8, "big") + flac[at + 8 :]


@pytest.fixture(scope="module")
def wav(encode: Any, noise: np.ndarray) -> bytes:
    data: bytes = encode(noise, subtype="PCM_16")
    return data


@pytest.fixture(scope="module")
def flac(encode: Any, noise: np.ndarray) -> bytes:
    data: bytes = encode(noise, format="FLAC")
    return data


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    assert refusal(path) == f"There is no file {str(path)!r}; check the path."


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "is a pipe or a device" in refusal(tmp_path / "pipe.wav")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path: Path, wav: bytes) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(wav)
    path.chmod(0)
    assert "permissions" in refusal(path)


def test_impossible_path() -> None:
    assert "cannot be opened" in refusal("zero\0character.wav")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert f"{str(path)!r} is empty" in refusal(path)
    assert "'<bytes>' is empty" in refusal(b"")
    assert "'upload 7' is empty" in refusal(io.BytesIO(), name="upload 7")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "raw", "RAW", "au", "vox", "gsm", "txt"])
def test_text_is_not_audio_under_any_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"notes.{ending}"
    path.write_text("these are notes about a recording\n" * 100)
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!doctype html><html><body>404</body></html>", "is a web page; give a wav"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a Git LFS pointer, not the file itself;"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a PNG image;"),
        (b"PK\x03\x04" + bytes(50), "is a zip archive;"),
        (b"\x93NUMPY\x01\0" + bytes(50), "is a numpy array;"),
        (b"wvpk" + bytes(50), "is a WavPack file, which Mellow cannot read; convert it to wav or flac."),
        (b"RIFF\0\0\0\0AVI " + bytes(50), "is an avi file, which Mellow cannot read; convert it to wav or flac."),
        (b"RIFF\0\0\0\0WAVE" + bytes(50), "is a wav file that cannot be decoded"),
        (b"fLaC" + bytes(50), "is a flac file that cannot be decoded"),
        (b"OggS" + bytes(50), "is an ogg file that cannot be decoded"),
        (b"these are notes", "is not audio in a known format (its content begins with b'these are notes');"),
    ],
)
def test_a_wrong_file_is_named_by_what_is_in_it(content: bytes, what: str) -> None:
    assert f"'clip.wav' {what}" in refusal(content, name="clip.wav")


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    assert "is a link to a file that is not there" in refusal(tmp_path / "link.wav")


def test_file_objects_that_do_not_fit(tmp_path: Path, wav: bytes) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(wav)
    with path.open(encoding="latin-1") as text:
        assert "'rb'" in refusal(text)
    assert "not an open file that can seek" in refusal(text)  # closed by now
    assert "not an open file that can seek" in refusal(None)
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert "not an open file that can seek" in refusal(pipe)


@pytest.mark.parametrize("part", [0.001, 0.3, 0.6, 0.9])
def test_cut_flac_and_wav(part: float, wav: bytes, flac: bytes) -> None:
    assert "cut short" in refusal(wav[: int(part * len(wav))])
    assert "'<bytes>'" in refusal(flac[: int(part * len(flac))])


def test_damaged_flac(flac: bytes) -> None:
    middle = len(flac) // 2
    assert "damaged" in refusal(flac[:middle] + bytes(5_000) + flac[middle + 5_000 :])


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_not_finite(sample: float, channels: int, encode: Any, noise: np.ndarray) -> None:
    bad_SC = np.stack([noise] * channels, axis=1)
    bad_SC[30_000, -1] = sample
    message = refusal(encode(bad_SC, subtype="FLOAT"), name="field.wav")
    assert "'field.wav'" in message
    assert "at 1.875 s" in message


def test_no_frames(encode: Any, wav: bytes, flac: bytes) -> None:
    assert "holds no samples" in refusal(encode(np.zeros(0, np.float32)))
    assert "holds 0 of the 80,000 bytes" in refusal(wav[:44])
    header = flac[: flac.index(b"\xff\xf8")]
    assert "holds 0.0 s of the 2.5 s" in refusal(header)


def test_flac_that_claims_2_to_the_36_samples(flac: bytes) -> None:
    tracemalloc.start()
    message = refusal(with_flac_length(flac, 2**36 - 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "holds 2.5 s of the 4294967.3 s" in message
    assert peak < 5_000_000


def test_flac_without_a_length_is_read_to_its_end(flac: bytes) -> None:
    """A flac written to a pipe has a length of 0, which means unknown."""
    assert np.array_equal(load(with_flac_length(flac, 0), 16_000).waveform_S, load(flac, 16_000).waveform_S)


@pytest.mark.parametrize("claim", [0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF0, 0xFFFF_FFFF])
def test_wav_without_a_length_is_read_to_its_end(claim: int, wav: bytes) -> None:
    """A wav written to a pipe claims about 2 or 4 GB."""
    tracemalloc.start()
    clip = load(with_u32(wav, BYTES_AT, claim), 16_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(clip.waveform_S, load(wav, 16_000).waveform_S)
    assert peak < 5_000_000


def test_wav_length_that_is_off_by_its_header_is_forgiven(wav: bytes) -> None:
    assert load(with_u32(wav, BYTES_AT, len(wav)), 16_000).seconds == 2.5


@pytest.mark.parametrize("rate", [0, 1, 3_999, 384_001, 2_000_000_000, 0xFFFF_FFFF])
def test_impossible_sample_rates(rate: int, wav: bytes) -> None:
    started = time.perf_counter()
    assert "'<bytes>'" in refusal(with_u32(wav, RATE_AT, rate))
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("channels", [33, 1024])
def test_too_many_channels(channels: int, encode: Any) -> None:
    assert f"has {channels} channels" in refusal(encode(np.zeros((50, channels), np.float32)))


def test_longest_recording_is_exact(wav: bytes) -> None:
    assert load(wav, 16_000, max_seconds=2.5).seconds == 2.5
    assert refusal(wav, max_seconds=2.4999) == "'<bytes>' is longer than 2.4999 s; cut it into shorter files."


@pytest.fixture(scope="module")
def ten_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 h of silence at 8 kHz: less than 1 MB of FLAC, 1.2 GB decoded."""
    path = tmp_path_factory.mktemp("long") / "silence.flac"
    silence = np.zeros(10 * 60 * 8_000, np.int16)
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(silence)
    return path


@pytest.mark.parametrize(("seconds", "megabytes"), [(1, 2), (60, 8), (600, 60)])
def test_ten_hours_of_silence_are_refused_in_bounded_memory(seconds: int, megabytes: int, ten_hours: Path) -> None:
    assert ten_hours.stat().st_size < 1_000_000
    started = time.perf_counter()
    tracemalloc.start()
    message = refusal(ten_hours, max_seconds=seconds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"longer than {seconds} s" in message
    assert peak < megabytes * 1_000_000  # 10 h at 16 kHz would be 2 304 MB
    assert time.perf_counter() - started < 5


def test_memory_does_not_grow_with_channels_and_rate(encode: Any) -> None:
    data = encode(np.zeros((384_000, 32), np.int16), 384_000, format="WAV")  # 1 s, 49 MB as float32
    tracemalloc.start()
    clip = load(data, 16_000)
    peak = tracemalloc.get_traced_memory()[1] - len(data)  # the bytes are wrapped, at most copied once
    tracemalloc.stop()
    assert clip.waveform_S.shape == (16_000,)
    assert peak < 8_000_000


@given(cut=st.floats(0, 1), at=st.floats(0, 1), junk=st.binary(max_size=64), is_flac=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_a_clip_or_an_audio_error(
    cut: float, at: float, junk: bytes, is_flac: bool, wav: bytes, flac: bytes
) -> None:
    data = flac if is_flac else wav
    data = data[: int(cut * len(data))]
    position = int(at**8 * len(data))  # most often in the header
    data = data[:position] + junk + data[position + len(junk) :]
    try:
        clip = load(data, 16_000, max_seconds=60)
    except AudioError:
        return
    assert np.isfinite(clip.waveform_S).all()
    assert 1 <= len(clip.waveform_S) <= 60 * 16_000 + 1
