"""Hand-made scenes for the tests of the task families."""

from __future__ import annotations

import random
from collections import Counter

from mellow.data.scenes import phrases
from mellow.data.scenes.scene import Event, Scene
from mellow.data.tasks import Vocabulary

__all__ = ["SOUNDS", "event", "many", "scene", "vocabulary"]

# Sounds of different families, none of them held out.
SOUNDS = (
    "dog", "rain", "car_alarm", "sneeze", "piano", "door_closing", "helicopter", "frog", "typing", "church_bell",
    "laughter", "chainsaw", "waves", "gunshot", "cat", "vacuum_cleaner", "thunder", "crow", "toilet_flush",
    "clapping", "train", "accordion", "glass", "cricket", "siren", "cough",
)  # fmt: skip


def event(sound: str, onset_s: float, duration_s: float = 1.0, **more: float) -> Event:
    values = {"repeats": 1, "level_db": -20.0, "pitch_hz": 1000.0, **more}
    return Event(
        sound, f"{sound}.wav", onset_s, duration_s, int(values["repeats"]), values["level_db"], values["pitch_hz"],
        is_background=bool(values.get("is_background", False)),
    )  # fmt: skip


def scene(*events: Event, seconds: float = 10.0, name: str = "train-000001", nothing: str | None = None) -> Scene:
    return Scene(name, seconds, 0, name.split("-")[0], events, nothing)


def many(count: int, *, seed: int = 0, split: str = "train", keys: tuple[str, ...] = ()) -> list[Scene]:
    """Scenes of one to four events in order, some overlapping, some repeated, some over a background, some empty."""
    rng = random.Random(seed)
    names = keys or SOUNDS
    scenes = []
    for number in range(count):
        name = f"{split}-{number:06d}"
        if number % 20 == 19:
            scenes.append(scene(name=name, nothing=rng.choice(("silence", "white noise", "hum"))))
            continue
        events, start = [], rng.uniform(0.0, 2.0)
        for sound in rng.sample(names, rng.choice((1, 2, 2, 3, 4))):
            repeats = rng.choice((1, 1, 2, 3, 5))
            length = 0.5 * repeats if repeats > 1 else rng.choice((0.8, 1.5, 3.0))
            level, pitch = rng.uniform(-40, -10), rng.uniform(200, 6000)
            events.append(event(sound, start, length, repeats=repeats, level_db=level, pitch_hz=pitch))
            start += length * rng.choice((0.4, 1.0, 1.0)) + 0.6
        if rng.random() < 0.3 and "rain" not in {e.sound for e in events} and not keys:
            events.append(event("rain", 0.0, start + 1, level_db=-40.0, is_background=True))
        scenes.append(scene(*events, seconds=max(e.end_s for e in events) + 0.5, name=name))
    return scenes


def vocabulary(keys: tuple[str, ...] = ()) -> Vocabulary:
    return Vocabulary(Counter(keys or SOUNDS), phrases.sounds())
