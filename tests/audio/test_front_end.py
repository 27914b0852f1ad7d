"""Log-mel features against a slow reference written from the definitions, and against the published model's."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellow.audio import CED, HTSAT, FrontEnd, log_mel, mel_filters

BOTH = pytest.mark.parametrize("front_end", [HTSAT, CED], ids=["htsat", "ced"])
REPOSITORY = Path(__file__).resolve().parents[2]
PARITY_KIT = REPOSITORY / os.environ.get("MELLOW_PARITY_KIT", "../shared/parity")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def reference_edges(front_end: FrontEnd) -> list[float]:
    """Edges of the triangles in Hz, one number at a time."""

    def to_mel(hz: float) -> float:
        if front_end.mel_scale == "htk":
            return 2595 * math.log10(1 + hz / 700)
        return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    def to_hz(mel: float) -> float:
        if front_end.mel_scale == "htk":
            return 700 * (10 ** (mel / 2595) - 1)
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    low, high = to_mel(front_end.f_min), to_mel(front_end.f_max)
    return [to_hz(low + (high - low) * i / (front_end.mel_bins + 1)) for i in range(front_end.mel_bins + 2)]


def reference_filters(front_end: FrontEnd) -> np.ndarray:
    edges = reference_edges(front_end)
    filters_KM = np.zeros((front_end.fft // 2 + 1, front_end.mel_bins))
    for k in range(len(filters_KM)):
        hz = k * front_end.sample_rate / front_end.fft
        for m, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
            if left < hz < right:
                height = (hz - left) / (centre - left) if hz <= centre else (right - hz) / (right - centre)
                filters_KM[k, m] = height * (2 / (right - left) if front_end.mel_norm == "slaney" else 1)
    return filters_KM


def reference_log_mel(waveform_S: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """A direct Fourier sum over each frame, mirrored sample by sample, in float64."""
    n = np.arange(front_end.fft)
    window_N = np.sin(np.pi * n / front_end.fft) ** 2
    fourier_NK = np.exp(-2j * np.pi * np.outer(n, np.arange(front_end.fft // 2 + 1)) / front_end.fft)
    last = len(waveform_S) - 1
    rows = []
    for frame in range(1 + len(waveform_S) // front_end.hop):
        at_N = np.abs(frame * front_end.hop - front_end.fft // 2 + n)
        at_N = np.where(at_N > last, 2 * last - at_N, at_N)
        spectrum_K = (waveform_S[at_N].astype(np.float64) * window_N) @ fourier_NK
        power_M = np.abs(spectrum_K) ** 2 @ reference_filters(front_end)
        rows.append(10 * np.log10(np.maximum(power_M, front_end.floor)))
    return np.array(rows)


@BOTH
@pytest.mark.parametrize("samples", [2_000, 3_200, 5_119])
def test_equals_the_slow_reference(front_end: FrontEnd, samples: int) -> None:
    waveform_S = noise(samples) + 0.3 * np.sin(np.arange(samples) * 0.2).astype(np.float32)
    mel_FM = log_mel(waveform_S, front_end)
    assert mel_FM.dtype == np.float32
    assert np.abs(mel_FM - reference_log_mel(waveform_S, front_end)).max() < 1e-3  # dB


@BOTH
def test_ten_seconds_are_1001_frames(front_end: FrontEnd) -> None:
    mel_FM = log_mel(noise(10 * front_end.sample_rate), front_end)
    assert mel_FM.shape == (1001, 64)
    assert mel_FM.flags.c_contiguous


@BOTH
@given(samples=st.integers(0, 4_000))
@settings(max_examples=40, deadline=None)
def test_any_length_has_its_frames(front_end: FrontEnd, samples: int) -> None:
    mel_FM = log_mel(noise(samples), front_end)
    assert mel_FM.shape == (1 + samples // front_end.hop, 64) == (front_end.frames(samples), 64)
    assert np.isfinite(mel_FM).all()


@BOTH
@pytest.mark.parametrize("samples", [1, 100, 256, 257, 512, 513])
def test_clips_shorter_than_the_reflection_are_filled_with_zeros(front_end: FrontEnd, samples: int) -> None:
    filled_S = np.zeros(max(samples, front_end.fft // 2 + 1), np.float32)
    filled_S[:samples] = noise(samples)
    expected_FM = reference_log_mel(filled_S, front_end)[: front_end.frames(samples)]
    mel_FM = log_mel(noise(samples), front_end)
    loud_FM = expected_FM > -90  # near the floor float32 shows
    assert np.abs(mel_FM - expected_FM)[loud_FM].max() < 0.01


@BOTH
def test_silence_is_the_floor(front_end: FrontEnd) -> None:
    assert np.allclose(log_mel(np.zeros(8_000, np.float32), front_end), -100)


@BOTH
def test_loudest_accepted_samples_stay_finite(front_end: FrontEnd) -> None:
    assert np.isfinite(log_mel(np.full(8_000, 2.0**31, np.float32), front_end)).all()


@BOTH
def test_twice_the_amplitude_is_six_decibels(front_end: FrontEnd) -> None:
    difference_FM = log_mel(2 * noise(16_000), front_end) - log_mel(noise(16_000), front_end)
    assert np.allclose(difference_FM, 20 * np.log10(2), atol=1e-3)


@BOTH
@given(tail=st.integers(0, 3_000), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_new_samples_never_change_earlier_frames(front_end: FrontEnd, tail: int, seed: int) -> None:
    waveform_S = noise(8_000, seed)
    longer_S = np.concatenate([waveform_S, noise(tail, seed + 1)])
    settled = 1 + (8_000 - front_end.fft // 2 - 1) // front_end.hop  # frames that lie wholly in the clip
    before_FM, after_FM = log_mel(waveform_S, front_end), log_mel(longer_S, front_end)
    assert np.allclose(before_FM[:settled], after_FM[:settled], atol=1e-3)


@BOTH
@pytest.mark.parametrize("hz", [300, 1_000, 3_000, 7_000])
def test_a_tone_peaks_in_its_mel_bin(front_end: FrontEnd, hz: int) -> None:
    tone_S = np.sin(2 * np.pi * hz * np.arange(front_end.sample_rate) / front_end.sample_rate)
    peak = int(log_mel(tone_S, front_end)[10:-10].mean(axis=0).argmax())
    edges = reference_edges(front_end)
    assert edges[peak] < hz < edges[peak + 2]


@BOTH
def test_filters_equal_the_slow_reference(front_end: FrontEnd) -> None:
    filters_KM = mel_filters(front_end)
    assert filters_KM.dtype == np.float32
    assert np.allclose(filters_KM, reference_filters(front_end), rtol=1e-5, atol=1e-8)


@BOTH
def test_filters_are_single_hills_in_order(front_end: FrontEnd) -> None:
    filters_KM = mel_filters(front_end)
    assert (filters_KM >= 0).all()
    assert (filters_KM.max(axis=0) > 0).all()  # no empty bin
    assert (np.diff(filters_KM.argmax(axis=0)) >= 0).all()
    for filter_K in filters_KM.T:
        support = np.flatnonzero(filter_K)
        assert len(support) == support[-1] - support[0] + 1
        assert (np.diff(np.sign(np.diff(filter_K[support]))) <= 0).all()


def test_ced_filters_share_each_frequency_fully() -> None:
    edges = reference_edges(CED)
    hz_K = np.arange(257) * 16_000 / 512
    inside_K = (hz_K >= edges[1]) & (hz_K <= edges[-2])
    assert np.allclose(mel_filters(CED).sum(axis=1)[inside_K], 1, atol=1e-5)


def test_htsat_filters_have_equal_areas() -> None:
    areas_M = mel_filters(HTSAT).sum(axis=0) * 32_000 / 1024
    assert np.allclose(areas_M[20:], 1, atol=0.05)


def test_filters_are_cached_and_cannot_be_changed() -> None:
    assert mel_filters(CED) is mel_filters(CED)
    with pytest.raises(ValueError, match="read-only"):
        mel_filters(CED)[0, 0] = 1


def test_a_short_window_is_centred_in_its_fft() -> None:
    short = FrontEnd(16_000, 400, 160, 512, 40, 20.0, 7_600.0, "htk", None)
    click_S = np.zeros(1_600, np.float32)
    click_S[800] = 1  # the centre of frame 5, where the window is 1
    mel_FM = log_mel(click_S, short)
    assert np.allclose(mel_FM[5], 10 * np.log10(mel_filters(short).sum(axis=0)), atol=1e-3)
    assert np.allclose(mel_FM[3], -100)  # 320 samples away, beyond 400 / 2


def test_ten_seconds_take_milliseconds() -> None:
    waveform_S = noise(160_000)
    log_mel(waveform_S, CED)
    taken = []
    for _ in range(7):
        started = time.perf_counter()
        log_mel(waveform_S, CED)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.015  # about 0.002 on a quiet machine


@pytest.mark.skipif(not (PARITY_KIT / "golden.json").exists(), reason=f"no parity kit at {PARITY_KIT}")
def test_htsat_log_mel_equals_the_published_model() -> None:
    safetensors_numpy = pytest.importorskip("safetensors.numpy")
    spec = importlib.util.spec_from_file_location("parity_weights", PARITY_KIT / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    golden = safetensors_numpy.load_file(PARITY_KIT / "golden.safetensors")
    cases = json.loads((PARITY_KIT / "golden.json").read_text())
    assert cases
    for case in cases:
        expected_FM = golden[f"case{case['case']}.logmel_every10th_101x64"]
        mel_FM = log_mel(weights.waveform(case["audio1_seed"]), HTSAT)[::10]
        assert mel_FM.shape == expected_FM.shape
        assert np.linalg.norm(mel_FM - expected_FM) <= 1e-4 * np.linalg.norm(expected_FM)
