"""The clips in examples/ are what their script renders, small, and sound like what they are to the encoder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from mellow.audio import CED, log_mel
from mellow.data.scenes.phrases import sounds

Scores = Callable[[np.ndarray], np.ndarray]
ROOT = Path(__file__).resolve().parents[2]
MEANT = {  # clip -> AudioSet class, and the place it takes among all 527
    "siren": ("Siren", 1),
    "bell": ("Bell", 1),
    "rain": ("Rain on surface", 1),
    "steps": ("Walk, footsteps", 1),
    "clock": ("Tick-tock", 1),
    "bird": ("Bird", 2),  # "Chirp, tweet" is as strong
    "knock": ("Knock", 1),
    "engine": ("Engine", 3),
    "silence": ("Silence", 1),
    "siren_then_rain": ("Siren", 1),
}


@cache
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_examples", ROOT / "scripts" / "render_examples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_sound_is_judged() -> None:
    assert set(MEANT) == set(script().SOUNDS)
    assert {path.stem for path in (ROOT / "examples").glob("*.flac")} == set(MEANT)


@pytest.mark.parametrize("name", MEANT)
def test_clip_is_what_the_script_renders(name: str) -> None:
    path = ROOT / "examples" / f"{name}.flac"
    wave_S, rate = soundfile.read(path)
    assert (rate, wave_S.ndim) == (16_000, 1)
    assert path.stat().st_size < 100_000
    rendered_S = script().render(name)
    assert len(rendered_S) == len(wave_S)
    assert np.abs(rendered_S - wave_S).max() < 2**-14  # 16 bits, and another machine's last digits
    assert np.abs(wave_S).max() < 0.9


@pytest.fixture(scope="module")
def scores(shared: Callable[[str], Path]) -> Scores:
    """Class logits (C) that CED-Tiny gives a waveform (S)."""
    torch, ced = pytest.importorskip("torch"), pytest.importorskip("mellow.model.ced")
    read_ced_onnx = pytest.importorskip("mellow.importers.ced_onnx").read_ced_onnx
    model = ced.Ced(ced.CedConfig()).eval()
    model.load_state_dict(read_ced_onnx(shared("base/ced-tiny/tiny.onnx")), strict=False)

    def hear(wave_S: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model(torch.from_numpy(log_mel(wave_S, CED))[None]).clip_scores_BC[0])

    return hear


@pytest.mark.parametrize("name", MEANT)
def test_encoder_hears_what_is_meant(name: str, scores: Scores, shared: Callable[[str], Path]) -> None:
    wanted, place = MEANT[name]
    lines = shared("text/audioset/class_labels_indices.csv").read_text().splitlines()[1:]
    names = [line.split(",", 2)[2].strip('"') for line in lines]
    assert len(names) == len([sound for sound in sounds().values() if sound.index is not None])
    wave_S = script().render(name).astype(np.float32)
    strongest = [names[i] for i in np.argsort(-scores(wave_S))[:place]]
    assert wanted in strongest


def test_rain_follows_the_siren(scores: Scores, shared: Callable[[str], Path]) -> None:
    wave_S = script().render("siren_then_rain").astype(np.float32)
    half = round(2.55 * 16_000)
    lines = shared("text/audioset/class_labels_indices.csv").read_text().splitlines()[1:]
    rain = [i for i, line in enumerate(lines) if '"Rain' in line]
    first, second = (int(scores(part_S).argmax()) for part_S in np.split(wave_S, [half]))
    assert first not in rain
    assert second in rain
