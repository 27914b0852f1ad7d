"""A manifest of a few tones and noises, with tables to match: small, quick, and different enough to tell apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mellow.data.scenes import phrases
from mellow.data.scenes.labels import Labelling, read_keys
from mellow.data.scenes.phrases import Sound

RATE = 16_000
MINI = Path(__file__).parents[2] / "recipes" / "mini"
HELD_OUT = read_keys(MINI / "held_out.txt")  # of the bundled model
SOUNDS = {  # key as in the real table, which worker processes see -> category, tone in Hz (None: noise), kind
    "piano": ("music instrument", 3000.0, "event"),
    "clapping": ("human action", 1200.0, "event"),
    "dog": ("animal", 500.0, "event"),
    "drill": ("tool", 2000.0, "event"),
    "siren": ("alarm", 800.0, "event"),
    "rain": ("weather", None, "background"),
}
SECONDS = {"piano": (0.2, 0.4, 0.3), "clapping": (0.25, 0.5, 0.6), "dog": (1.0, 2.0, 3.0), "drill": (4.0, 7.0, 12.0)}


@dataclass(frozen=True)
class Lab:
    """The folder with `manifest.jsonl` and its recordings, their labels, and the tone of each sound in Hz."""

    folder: Path
    tones: dict[str, float | None]
    labelling: Labelling

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.jsonl"


def sound(key: str, category: str = "animal", name: str | None = None) -> Sound:
    return Sound(key, name or key, f"a {key}", (f"a {key} sounds",), category, "like itself", "here", "listen", None)


def row(
    path: str, label: str, *, fold: int | None, origin: str, source: str = "esc50_16k", seconds: float = 1.0
) -> str:
    fields = {"path": path, "source": source, "label": label, "fold": fold, "duration_s": seconds, "origin": origin}
    return json.dumps(fields) + "\n"


def tone(key: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A steady tone (or noise) with 0.3 s of digital silence before it and 0.5 s after it."""
    frequency = SOUNDS[key][1]
    samples = int(seconds * RATE)
    body = rng.standard_normal(samples) * 0.1 if frequency is None else np.zeros(samples)
    if frequency is not None:
        body = 0.4 * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE)
    return np.concatenate([np.zeros(int(0.3 * RATE)), body, np.zeros(int(0.5 * RATE))]).astype(np.float32)


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    rng = np.random.default_rng(0)
    lines = []
    for number, key in enumerate(SOUNDS):
        for fold in (1, 2, 4):
            for take, seconds in enumerate(SECONDS.get(key, (8.0, 15.0, 31.0))):
                stem = f"{fold}-{100_000 + 100 * number + 10 * fold + take}-A-{number}"
                soundfile.write(folder / f"{stem}.wav", tone(key, seconds, rng), RATE)
                origin = f"example.org/lab:audio/{stem}.wav"
                lines.append(row(f"{stem}.wav", key, fold=fold, origin=origin, seconds=seconds + 0.8))
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Sound]], None]:
    """Replace the sound table for one test."""

    def replace(sounds: dict[str, Sound]) -> None:
        monkeypatch.setattr(phrases, "sounds", lambda: sounds)

    return replace


@pytest.fixture
def lab(lab_folder: Path, table: Callable[..., None]) -> Lab:
    table({key: sound(key, category) for key, (category, _, _) in SOUNDS.items()})
    labels = {("esc50_16k", key): ((key,), kind) for key, (_, _, kind) in SOUNDS.items()}
    return Lab(lab_folder, {key: frequency for key, (_, frequency, _) in SOUNDS.items()}, Labelling(labels))  # type: ignore[arg-type]
