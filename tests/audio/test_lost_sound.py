"""Files that hold more sound than the first header says, and sound that would get lost in mixing or scaling."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mellow.audio import from_array, load
from mellow.audio.quiet import c_libraries_silenced
from mellow.errors import AudioError

RATE = 16_000
DATA_AT = 36  # of a plain wav's data chunk
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT\x0e\0\0\0Lavf58.0.100\0\0"
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\x07\x68" + bytes(1000)


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    """A wail, whose parts differ from each other."""
    phase = 800 + 400 * np.sin(np.pi * np.arange(round(seconds * rate)) / rate)
    return (0.5 * np.sin(2 * np.pi * np.cumsum(phase) / rate)).astype(np.float32)


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.square(waveform).mean()))


def set_u32(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


def set_frames(mp3: bytes, frames: int) -> bytes:
    """The count in the Xing frame."""
    at = mp3.index(b"Xing") + 8
    return mp3[:at] + struct.pack(">I", frames) + mp3[at + 4 :]


def set_flac_length(flac: bytes, samples: int) -> bytes:
    fields = int.from_bytes(flac[18:26], "big") >> 36 << 36 | samples
    return flac[:18] + fields.to_bytes(8, "big") + flac[26:]


# --- more seconds than the header says ------------------------------------------------------------------------------

HOW = {
    "wav": {"subtype": "PCM_16"},
    "flac": {"format": "FLAC"},
    "mp3": {"format": "MP3"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


@pytest.mark.parametrize(("first", "second"), [*zip(HOW, HOW, strict=True), ("vorbis", "opus"), ("opus", "vorbis")])
def test_joined_files_are_heard_to_the_end(first: str, second: str, encode: Any) -> None:
    waveform_S = load(encode(tone(4), **HOW[first]) + encode(tone(3), **HOW[second]), RATE).waveform_S
    assert len(waveform_S) == 7 * RATE
    for start in (0, 4):  # both begin alike
        piece_S = waveform_S[start * RATE : (start + 3) * RATE]
        assert np.corrcoef(piece_S, tone(3))[0, 1] > 0.99


@pytest.mark.parametrize(("first", "second"), [("wav", "mp3"), ("mp3", "wav"), ("vorbis", "mp3"), ("opus", "flac")])
def test_joined_files_of_other_kinds_are_told(first: str, second: str, encode: Any) -> None:
    with pytest.raises(AudioError, match=r"after the samples|bytes are not in"):
        load(encode(tone(4), **HOW[first]) + encode(tone(3), **HOW[second]), RATE)


def test_joined_files_of_other_rates_and_channels(encode: Any) -> None:
    ogg = HOW["vorbis"]
    stereo_SC = np.stack([tone(3, 8_000)] * 2, axis=1)
    data = encode(tone(4), **ogg) + encode(stereo_SC, 8_000, **ogg) + encode(tone(2), **ogg)
    waveform_S = load(data, RATE).waveform_S
    assert abs(len(waveform_S) - 9 * RATE) < 3
    assert np.corrcoef(waveform_S[-2 * RATE :], tone(2))[0, 1] > 0.99


def test_tags_between_and_behind_are_no_sound(encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    mp3, flac, wav = (encode(tone(4), **HOW[kind]) for kind in ("mp3", "flac", "wav"))
    assert load(mp3 + ID3V1 + ID3V2 + mp3, RATE).seconds == 8
    assert load(ID3V2 + flac + ID3V1, RATE).seconds == 4
    assert load(wav + LIST + wav + ID3V1, RATE).seconds == 8
    assert load(wav + bytes(40_000), RATE).seconds == 4  # sectors are filled with zeros
    assert caplog.messages == []


@pytest.mark.parametrize("front", [b"", b"JUNK" + struct.pack("<I", 28) + bytes(28), LIST])
@pytest.mark.parametrize("riff", [0, 36, 0xFFFF_FFFF])
@pytest.mark.parametrize("size", [0, 44, 0xFFFF_FFFF])
def test_a_wav_that_was_not_closed(
    front: bytes, riff: int, size: int, encode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wav = encode(tone(4), **HOW["wav"])
    wav = set_u32(wav, 4, riff)[:12] + front + set_u32(wav, DATA_AT + 4, size)[12:]
    clip = load(wav, RATE)
    assert clip.seconds == 4
    assert rms(clip.waveform_S) == pytest.approx(rms(tone(4)), rel=1e-3)
    assert ["was not closed" in message for message in caplog.messages] == ([True] if size <= 44 else [])


def test_an_rf64_that_was_not_closed(encode: Any) -> None:
    data = encode(tone(4), format="RF64", subtype="PCM_16")
    at = data.index(b"ds64") + 16
    assert load(data[:at] + bytes(8) + data[at + 8 :], RATE).seconds == 4


def test_a_wav_without_samples_but_with_other_chunks_is_empty(encode: Any) -> None:
    with pytest.raises(AudioError, match="holds no samples"):
        load(encode(tone(0), **HOW["wav"]) + LIST, RATE)


def test_bytes_behind_the_samples_of_a_wav_are_told(encode: Any) -> None:
    wav = set_u32(encode(tone(4), **HOW["wav"]), DATA_AT + 4, 64_000)
    with pytest.raises(AudioError, match="holds 64,000 bytes after the samples"):
        load(wav, RATE)


@pytest.mark.parametrize("frames", [0, 1, 40, 1_200])
def test_a_wrong_count_in_a_xing_frame(frames: int, encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    clip = load(set_frames(encode(tone(4), **HOW["mp3"]), frames), RATE)
    assert clip.seconds == 4
    assert f"claims {frames:,} mp3 frames" in caplog.text


def test_a_flac_that_holds_more_than_it_claims(encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert load(set_flac_length(encode(tone(4), **HOW["flac"]), RATE), RATE).seconds == 4
    assert "claims 1.0 s; it holds 4.0 s" in caplog.text


def test_an_au_that_holds_more_than_it_claims_is_warned_of(encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = encode(tone(4), format="AU", subtype="PCM_16", endian="BIG")
    assert load(data[:8] + struct.pack(">I", RATE) + data[12:], RATE).seconds == 0.5
    assert "outside of the samples" in caplog.text


@pytest.mark.parametrize("kind", ["mp3", "vorbis"])
def test_a_hole_in_a_file_is_told(kind: str, encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A small one is warned of, a large one refused."""
    data = encode(np.random.default_rng(0).uniform(-0.5, 0.5, 120 * RATE), **HOW[kind])
    middle, small, large = len(data) // 2, len(data) // 50, len(data) // 4
    clip = load(data[:middle] + bytes(small) + data[middle + small :], RATE)
    assert 100 < clip.seconds < 120
    assert "is damaged" in caplog.text
    with pytest.raises(AudioError, match=r"is damaged: .* make or fetch the file again"):
        load(data[:middle] + bytes(large) + data[middle + large :], RATE)


@pytest.mark.parametrize("kind", HOW)
def test_good_files_are_not_warned_of(kind: str, encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    stereo_SC = np.stack([tone(5, 48_000), 0.3 * tone(5, 48_000)], axis=1)
    assert load(encode(stereo_SC, 48_000, **HOW[kind]), RATE).seconds == pytest.approx(5, abs=1e-3)
    assert caplog.messages == []


# --- mixing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gains", [(1, -1), (1, -0.9), (0.02, -0.02), (1, -1, 1, -1), (1, -1, 0, 0, 0, 0)])
def test_channels_that_cancel_each_other_out(gains: tuple[float, ...], caplog: pytest.LogCaptureFixture) -> None:
    wave_SC = np.stack([gain * tone(4) for gain in gains], axis=1)
    clip = from_array(wave_SC, RATE, RATE)
    assert rms(clip.waveform_S) == pytest.approx(max(rms(wave_S) for wave_S in wave_SC.T))
    assert len(caplog.messages) == 1
    assert "cancel each other out" in caplog.text


def test_channels_that_cancel_for_a_while_are_heard_there() -> None:
    left_S = tone(6)
    right_S = np.where(np.arange(len(left_S)) < 3 * RATE, left_S, -left_S)
    waveform_S = from_array(np.stack([left_S, right_S], axis=1), RATE, RATE).waveform_S
    assert np.abs(waveform_S[: 3 * RATE] - left_S[: 3 * RATE]).max() < 1e-6
    assert rms(waveform_S[3 * RATE :]) == pytest.approx(rms(left_S[3 * RATE :]))


@pytest.mark.parametrize("channels", [2, 6, 32])
def test_unrelated_channels_and_silence_are_averaged(channels: int, caplog: pytest.LogCaptureFixture) -> None:
    wave_SC = np.random.default_rng(0).standard_normal((RATE, channels)).astype(np.float32) * 0.1
    wave_SC[RATE // 2 :, 1:] = 0
    assert np.abs(from_array(wave_SC, RATE, RATE).waveform_S - wave_SC.mean(axis=1)).max() < 1e-6
    from_array(np.zeros((RATE, channels), np.float32), RATE, RATE)
    assert caplog.messages == []


# --- scales ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i4", "i8", "f4", "f8"])
def test_16_bit_samples_in_a_wider_type(dtype: str, caplog: pytest.LogCaptureFixture) -> None:
    clip = from_array((tone(1) * 32_767).astype(dtype), RATE, RATE)
    assert np.abs(clip.waveform_S - tone(1)).max() < 2**-14
    assert len(caplog.messages) == 1
    assert "read as 16-bit" in caplog.text


@pytest.mark.parametrize(("dtype", "middle", "half"), [("u2", 128, 127), ("i2", 128, 127), ("i8", 128, 127)])
def test_8_bit_samples_in_a_wider_type(dtype: str, middle: int, half: int) -> None:
    clip = from_array((tone(1) * half + middle).astype(dtype), RATE, RATE)
    assert np.abs(clip.waveform_S - tone(1)).max() < 0.02


@pytest.mark.parametrize("dtype", ["i4", "i8"])
def test_24_bit_samples_in_a_wider_type(dtype: str) -> None:
    clip = from_array((tone(1) * (2**23 - 1)).astype(dtype), RATE, RATE)
    assert np.abs(clip.waveform_S - tone(1)).max() < 1e-5


@pytest.mark.parametrize("loudness", [1.0, 0.01, 1e-3])
def test_32_bit_samples_stay_32_bit(loudness: float, caplog: pytest.LogCaptureFixture) -> None:
    """Quiet recordings, too, as soundfile gives 16-bit files: shifted up."""
    wave = (tone(1) * loudness * 32_767).astype(np.int32) << 16
    assert np.abs(from_array(wave, RATE, RATE).waveform_S - loudness * tone(1)).max() < 2**-14
    assert caplog.messages == []


def test_floats_on_an_integer_scale_in_a_file(encode: Any) -> None:
    for scale in (2**15 - 1, 2**31 - 1):
        clip = load(encode(tone(1).astype(np.float64) * 1.9 * scale, subtype="DOUBLE"), 8_000)
        assert rms(clip.waveform_S) == pytest.approx(0.95 * 0.707, rel=0.01)


def test_overs_are_kept_and_a_spike_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert np.array_equal(from_array(20 * tone(1), RATE, RATE).waveform_S, 20 * tone(1))
    wave_S = tone(2)
    wave_S[RATE + RATE // 2] = 5_000
    with pytest.raises(AudioError, match=r"a sample of 5000 at 1\.500 s, while most are within"):
        from_array(wave_S, RATE, RATE)
    assert caplog.messages == []


def test_near_silence_is_told_once(encode: Any, caplog: pytest.LogCaptureFixture) -> None:
    clip = load(encode(1e-4 * tone(1), subtype="FLOAT"), RATE)
    from_array(clip.waveform_S, clip.sample_rate, RATE)
    assert caplog.messages == ["'<bytes>' is nearly silent: its level is below -70 dBFS."]
    caplog.clear()
    load(encode(1e-3 * tone(1), subtype="FLOAT"), RATE)
    assert caplog.messages == []


# --- C libraries, and the samples of public bug reports --------------------------------------------------------------


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only there C's stderr can be set")
@pytest.mark.parametrize("seed", range(6))
def test_c_libraries_do_not_talk(seed: int, encode: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """mpg123 writes lines to stderr about each of these."""
    rng = np.random.default_rng(seed)
    data = bytearray(encode(tone(10), **HOW["mp3"]))
    for at in rng.integers(300, len(data), 100):
        data[at] = rng.integers(256)
    with contextlib.suppress(AudioError):
        load(bytes(data), RATE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only there C's stderr can be set")
def test_others_keep_their_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Python's own writes, of any thread, and C's afterwards."""
    libc = ctypes.CDLL(None)
    with c_libraries_silenced(), c_libraries_silenced():
        thread = threading.Thread(target=lambda: print("from a thread", file=sys.stderr))
        thread.start()
        thread.join()
        os.write(2, b"to the descriptor\n")
        libc.perror(b"hidden")
    libc.perror(b"shown")
    text = capfd.readouterr().err
    assert "from a thread" in text
    assert "to the descriptor" in text
    assert "shown" in text
    assert "hidden" not in text


SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "bug-inputs"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples of public bug reports are not here")
@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("xing_claims_half.mp3", 4),
        ("chained_vorbis.ogg", 7),
        ("chained_opus.ogg", 7),
        ("data_size_0.wav", 4),
        ("unclosed_junk.wav", 4),
        ("antiphase.wav", 2),
    ],
)
def test_samples_of_public_bug_reports(name: str, seconds: float) -> None:
    clip = load(SAMPLES / name, RATE)
    assert clip.seconds == pytest.approx(seconds, abs=0.05)
    assert rms(clip.waveform_S) > 0.3
