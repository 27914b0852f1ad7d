"""Good recordings, whatever their format, channels and rate."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from mellow.audio import Source, from_array, load
from mellow.errors import AudioError

# format, subtype, and the largest error of a sample that the coding explains (None: a lossy coding)
FORMATS = [
    ("WAV", "PCM_16", 2**-15),
    ("WAV", "PCM_24", 2**-23),
    ("WAV", "PCM_U8", 2**-7),
    ("WAV", "FLOAT", 0.0),
    ("WAV", "DOUBLE", 0.0),
    ("RF64", "PCM_16", 2**-15),
    ("FLAC", "PCM_16", 2**-15),
    ("FLAC", "PCM_24", 2**-23),
    ("AIFF", "PCM_16", 2**-15),
    ("CAF", "PCM_16", 2**-15),
    ("OGG", "VORBIS", None),
    ("OGG", "OPUS", None),
    ("MP3", "MPEG_LAYER_III", None),
]


def sine(frequency: float, sample_rate: int, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate).astype(np.float32)


@pytest.mark.parametrize(("container", "subtype", "step"), FORMATS)
def test_every_format(container: str, subtype: str, step: float | None, encode: Any) -> None:
    if container not in soundfile.available_formats() or not soundfile.check_format(container, subtype):
        pytest.skip(f"this libsndfile has no {container} {subtype}")
    wave = 0.5 * sine(440, 16_000, 2.5)
    data = encode(wave, format=container, subtype=subtype)
    clip = load(data, 16_000)
    assert clip.waveform_S.dtype == np.float32
    assert clip.waveform_S.shape == wave.shape
    assert (clip.sample_rate, clip.seconds, clip.name) == (16_000, 2.5, "<bytes>")
    if step is None:
        assert np.corrcoef(clip.waveform_S, wave)[0, 1] > 0.99
    else:
        assert np.abs(clip.waveform_S - wave).max() <= step
    whole, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert np.abs(clip.waveform_S - whole).max() < 1e-6  # decoding by blocks changes nothing


def test_every_kind_of_source(tmp_path: Path, encode: Any, noise: np.ndarray) -> None:
    path = tmp_path / "a clip.flac"
    path.write_bytes(encode(noise, format="FLAC"))
    expected = load(path.read_bytes(), 16_000).waveform_S
    sources: list[Source] = [path, str(path), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes())]
    for source in sources:
        assert np.array_equal(load(source, 16_000).waveform_S, expected)
    with path.open("rb") as file:
        file.seek(99)  # read from the beginning wherever it stands
        clip = load(file, 16_000)
        assert not file.closed
    assert np.array_equal(clip.waveform_S, expected)
    assert clip.name == str(path)
    assert load(path, 16_000).name == str(path)
    assert load(path, 16_000, name="upload 7").name == "upload 7"
    assert load(io.BytesIO(path.read_bytes()), 16_000).name == "<stream>"


def test_the_ending_of_the_name_does_not_matter(tmp_path: Path, encode: Any, noise: np.ndarray) -> None:
    path = tmp_path / "clip.mp3"
    path.write_bytes(encode(noise, format="FLAC"))
    assert load(path, 16_000).waveform_S.shape == noise.shape


@pytest.mark.parametrize("channels", [2, 3, 32])
def test_channels_are_averaged(channels: int, encode: Any) -> None:
    wave_SC = np.random.default_rng(1).uniform(-0.5, 0.5, (20_000, channels)).astype(np.float32)
    expected = wave_SC.astype(np.float64).mean(axis=1)
    for clip in (load(encode(wave_SC, subtype="FLOAT"), 16_000), from_array(wave_SC, 16_000, 16_000)):
        assert clip.waveform_S.shape == (20_000,)
        assert np.abs(clip.waveform_S - expected).max() < 1e-6


@pytest.mark.parametrize("rate_in", [4_000, 8_000, 22_050, 44_099, 44_100, 48_000, 96_000, 384_000])
@pytest.mark.parametrize("rate_out", [16_000, 32_000])
def test_resampling_keeps_the_tone_and_the_length(rate_in: int, rate_out: int) -> None:
    clip = from_array(0.5 * sine(997, rate_in, 2.3), rate_in, rate_out)
    assert abs(len(clip.waveform_S) - 2.3 * rate_out) <= 1
    middle = slice(rate_out // 5, -rate_out // 5)
    assert np.abs(clip.waveform_S - 0.5 * sine(997, rate_out, 3)[: len(clip.waveform_S)])[middle].max() < 1e-3


def test_resampling_by_blocks_equals_resampling_at_once(encode: Any) -> None:
    wave = (0.1 * np.random.default_rng(2).standard_normal(150_001)).astype(np.float32)
    clip = load(encode(wave, 44_100, subtype="FLOAT"), 32_000)
    assert np.allclose(clip.waveform_S, soxr.resample(wave, 44_100, 32_000), atol=1e-6)


def test_resampling_removes_what_the_target_cannot_carry() -> None:
    assert np.abs(from_array(sine(15_000, 48_000, 1), 48_000, 16_000).waveform_S[2_000:-2_000]).max() < 1e-3


@given(samples=st.integers(1, 60_000), rate_in=st.sampled_from([4_000, 11_025, 16_000, 44_100, 96_000, 384_000]))
@settings(max_examples=40, deadline=None)
def test_length_is_the_rounded_duration_and_never_zero(samples: int, rate_in: int) -> None:
    clip = from_array(np.zeros(samples, np.float32), rate_in, 16_000)
    exact = samples * 16_000 / rate_in
    assert len(clip.waveform_S) >= 1
    assert abs(len(clip.waveform_S) - exact) <= 0.5 or len(clip.waveform_S) == 1 > exact


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "i8"])
def test_integers_are_scaled_to_their_full_range(dtype: str) -> None:
    limits = np.iinfo(dtype)
    middle = 0 if dtype[0] == "i" else limits.max // 2 + 1
    clip = from_array(np.array([limits.min, middle, limits.max], dtype), 16_000, 16_000)
    assert clip.waveform_S[0] == -1
    assert clip.waveform_S[1] == 0
    assert 0.99 <= clip.waveform_S[2] <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_stay_as_they_are(dtype: Any, noise: np.ndarray) -> None:
    wave = noise.astype(dtype)
    clip = from_array(wave[::-1], 16_000, 16_000, name="backwards")  # strides of any kind
    assert np.array_equal(clip.waveform_S, wave[::-1].astype(np.float32))
    assert clip.name == "backwards"


def test_the_clip_is_a_copy_of_the_array(noise: np.ndarray) -> None:
    wave = noise.copy()
    clip = from_array(wave, 16_000, 16_000)
    wave[:] = 0
    assert np.array_equal(clip.waveform_S, noise)


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros((10, 2, 2)),
        np.zeros((3, 5)),  # too short for telling channels from samples
        np.zeros((16_000, 33)),
        np.float32(1.0),
        np.zeros(0),
        np.zeros((10, 0)),
        np.zeros(10, dtype=bool),
        np.zeros(10, dtype=complex),
        np.array(["a", "b"]),
        np.array([0.0, np.nan]),
        np.array([0.0, np.inf]),
        np.array([0.0, 1e300]),
        np.full((3, 2), 3e38, dtype=np.float32),  # overflows when averaged
    ],
)
def test_arrays_that_are_no_sound(wave: np.ndarray) -> None:
    with pytest.raises(AudioError, match="'take 3'"):
        from_array(wave, 16_000, 16_000, name="take 3")


@pytest.mark.parametrize("rates", [(3_999, 16_000), (384_001, 16_000), (16_000, 0), (0, 16_000), (16_000, 10**9)])
def test_impossible_rates(rates: tuple[int, int]) -> None:
    with pytest.raises(AudioError, match="4000 to 384000 Hz"):
        from_array(np.zeros(100), *rates)
