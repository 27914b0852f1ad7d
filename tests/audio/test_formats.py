"""Formats that only PyAV reads, whatever they are called; what is said where it is not installed; damaged ones."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellow.audio import load
from mellow.errors import AudioError

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * 48_000) / 48_000)).astype(np.float32)
FORMATS = {  # by file ending: FFmpeg's container, encoder, and rate
    "m4a": ("ipod", "aac", 48_000),
    "mp4": ("mp4", "aac", 44_100),
    "mov": ("mov", "pcm_s16le", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "flac", 48_000),
    "aac": ("adts", "aac", 32_000),
    "wma": ("asf", "wmav2", 44_100),
    "ac3": ("ac3", "ac3", 48_000),
}


def _encode(container: str, codec: str, rate: int, *, layout: str = "stereo", right: float = 0.5) -> bytes:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        wave_CS = np.stack([TONE, right * TONE])[: 2 if layout == "stereo" else 1]
        frame = av.AudioFrame.from_ndarray(wave_CS, "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(piece))
    return file.getvalue()


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {ending: _encode(*how) for ending, how in FORMATS.items()}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("called", ["", "wav"])
def test_every_format_under_any_name(ending: str, called: str, made: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"clip.{called or ending}"
    path.write_bytes(made[ending])
    clip = load(path, RATE)
    assert clip.seconds == pytest.approx(3, abs=0.15)
    middle_S = clip.waveform_S[RATE : 2 * RATE]
    spectrum_K = np.abs(np.fft.rfft(middle_S))
    assert spectrum_K.argmax() == 440
    assert np.sqrt(np.square(middle_S).mean()) == pytest.approx(0.75 * 0.5 / np.sqrt(2), rel=0.05)
    assert np.array_equal(load(io.BytesIO(made[ending]), RATE).waveform_S, clip.waveform_S)


@pytest.mark.parametrize("ending", FORMATS)
def test_without_pyav_the_sentence_says_what_it_is(
    ending: str, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "mellow.audio.formats", raising=False)
    with pytest.raises(AudioError, match=rf"'a\.wav' is an? .*({ending}|MPEG-4).*, which needs PyAV: pip install"):
        load(made[ending], RATE, name="a.wav")


def test_channels_that_cancel_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    clip = load(_encode("ipod", "aac", 48_000, right=-1.0), RATE)
    assert np.sqrt(np.square(clip.waveform_S).mean()) > 0.3
    assert "cancel each other out" in caplog.text


def test_a_video_without_sound() -> None:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        for piece in [*[frame] * 5, None]:
            out.mux(stream.encode(piece))
    with pytest.raises(AudioError, match=r"is an MPEG-4 file .* without an audio track"):
        load(file.getvalue(), RATE)


def test_too_long_and_cut_short(made: dict[str, bytes]) -> None:
    with pytest.raises(AudioError, match="is longer than 1 s"):
        load(made["m4a"], RATE, max_seconds=1)
    with pytest.raises(AudioError, match=r"is an MPEG-4 file .* that cannot be decoded"):
        load(made["m4a"][: len(made["m4a"]) // 2], RATE)


@pytest.mark.parametrize(
    "head", [b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile '/etc/passwd'\n", b"RTSP/1.0 "]
)
def test_playlists_are_not_opened(head: bytes) -> None:
    with pytest.raises(AudioError, match=r"is (a playlist|not audio in a known format)"):
        load(head * 9, RATE)


def test_only_demuxers_and_decoders_of_sound_are_asked(made: dict[str, bytes]) -> None:
    """A video codec in an audio demuxer, another format, or an address is refused by FFmpeg itself."""
    av = pytest.importorskip("av")
    from mellow.audio.formats import OPTIONS

    with pytest.raises(av.error.FFmpegError):
        av.open("/etc/hostname", format="mov", options=OPTIONS)
    with pytest.raises(av.error.FFmpegError):
        av.open(io.BytesIO(made["webm"]), format="mov", options=OPTIONS)


def test_pyav_is_not_loaded_before_it_is_needed(root: Path) -> None:
    code = "import sys, mellow.processor; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "src")}, capture_output=True)
    assert done.stdout.strip() == b"False"


@pytest.mark.parametrize("ending", FORMATS)
@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 40), cut=st.floats(0.3, 1), front=st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_a_clip_or_an_audio_error(
    ending: str, seed: int, changes: int, cut: float, front: bool, made: dict[str, bytes], capfd: Any
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(made[ending][: int(cut * len(made[ending]))])
    for at in rng.integers(0, min(len(data), 600) if front else len(data), changes):
        data[at] = rng.integers(256)
    try:
        clip = load(bytes(data), RATE, max_seconds=60)
    except AudioError as error:
        assert str(error).endswith(".")
    else:
        assert np.isfinite(clip.waveform_S).all()
        assert clip.seconds <= 60.001
    assert capfd.readouterr().err == ""
