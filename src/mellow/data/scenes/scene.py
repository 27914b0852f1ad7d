"""What a composed scene knows about itself: exact ground truth for every question asked of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Event", "Recording", "Scene"]


@dataclass(frozen=True)
class Recording:
    """A labelled source recording of the manifest.

    path: relative to the manifest, or to the folder of recordings.
    sounds: keys of `phrases.tsv` that are surely in it, best first (never empty).
    kind: "event" (can be placed in a scene) or "background" (a steady ambience).
    split: "train", "development" or "held_out"; all takes of one recording share a split.
    """

    path: str
    sounds: tuple[str, ...]
    kind: str
    split: str


@dataclass(frozen=True)
class Event:
    """One sound placed in a scene.

    onset_s, duration_s: of the first sounding to the end of the last one, in scene time.
    repeats: how many separate soundings (1 unless the same short recording is placed again).
    level_db: RMS of the placed event in dBFS over its sounding part, after gain.
    pitch_hz: spectral centroid of the placed event in Hz (median over its sounding frames).
    """

    sound: str
    recording: str
    onset_s: float
    duration_s: float
    repeats: int
    level_db: float
    pitch_hz: float
    is_background: bool = False

    @property
    def end_s(self) -> float:
        return self.onset_s + self.duration_s


@dataclass(frozen=True)
class Scene:
    """A rendered clip and all that is in it.

    nothing: None, or what the clip holds when nothing can be heard in it ("silence", "white noise", "pink noise",
    "brown noise", "hum"); such a scene has no events.
    """

    name: str
    seconds: float
    seed: int
    split: str
    events: tuple[Event, ...]
    nothing: str | None = None

    @property
    def foreground(self) -> tuple[Event, ...]:
        """Events that are not background, by onset."""
        return tuple(sorted((e for e in self.events if not e.is_background), key=lambda e: e.onset_s))
