"""The composer: clips whose content is known exactly, mixed from labelled recordings.

Every scene follows from (seed, name) alone. Its kind is drawn by KINDS, a plan places the soundings, and one function
mixes the plan, so that what a Scene says is measured on what is heard.
"""

from __future__ import annotations

import zlib

import numpy as np

from mellow.data.scenes import signals
from mellow.data.scenes.plans import LONGEST_S, PLANNERS, SHORTEST_S, Placed, Plan, as_it_is, single
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.scene import Event, Recording, Scene
from mellow.data.scenes.signals import SAMPLE_RATE, Waveform
from mellow.errors import DataError

__all__ = ["KINDS", "compose_alone", "compose_scene"]

# How often each kind of scene is composed.
KINDS = {
    "single": 0.35,  # one recording alone, often whole, up to 10 s
    "sequence": 0.16,  # two events, one after the other
    "overlap": 0.10,  # two events at the same time
    "several": 0.11,  # three or four events
    "repeats": 0.08,  # one short event 2 to 6 times, sometimes with another event
    "over background": 0.07,  # one or two events over an ambience
    "background": 0.04,  # an ambience alone
    "nothing": 0.04,  # silence, noise, hum
    "long": 0.05,  # 12 to 30 s with three to six events, half of them over an ambience
}
PEAK_DB = (-20.0, -1.0)  # of the scene, dBFS
ALONE_PEAK_DB = -3.0
CUTOFF_HZ = (3500.0, 8000.0)
LOW_PASS_PROBABILITY = 0.25


def compose_scene(name: str, pool: Pool, *, seed: int, split: str) -> tuple[Scene, Waveform]:
    """Compose the scene of this name from recordings of this split.

    Returns the truth and the mono float32 waveform at 16 kHz, which are the same for the same (seed, name) and pool.
    Raises DataError when the split has no event recordings.
    """
    rng = _generator(seed, name)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind == "nothing":
        return _nothing(rng, name, seed, split)
    plan = PLANNERS[kind](rng, pool, split)
    if plan is None:  # the split lacks what this kind needs (an ambience, a short sound): there is always a single
        plan = single(rng, pool, split)
    if rng.random() < LOW_PASS_PROBABILITY:
        _dull(rng, plan)
    return _mix(rng, plan, name, seed, split, peak_db=rng.uniform(*PEAK_DB))


def compose_alone(name: str, pool: Pool, recording: Recording, *, seed: int) -> tuple[Scene, Waveform]:
    """One recording as it is, at most its first 10 s of sound, with a fixed peak; a silent one is a DataError."""
    whole_S = pool.whole_S(recording)
    start = 0 if len(whole_S) <= LONGEST_S * SAMPLE_RATE else signals.trim(whole_S).start
    part_S = whole_S[start : start + int(LONGEST_S * SAMPLE_RATE)]
    plan = as_it_is(recording, part_S)
    if plan is None:
        raise DataError(f"{recording.path} is silent; remove it from the manifest")
    return _mix(_generator(seed, name), plan, name, seed, recording.split, peak_db=ALONE_PEAK_DB)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _dull(rng: np.random.Generator, plan: Plan) -> None:
    """Low-pass the whole scene or single events, so that a band limit does not give a source away."""
    whole = rng.random() < 0.5
    cutoff_hz = rng.uniform(*CUTOFF_HZ)
    for placed in plan.placed:
        if whole or rng.random() < 0.5:
            own_hz = cutoff_hz if whole else rng.uniform(*CUTOFF_HZ)
            placed.sounding_S = signals.low_pass(placed.sounding_S, own_hz)


def _mix(
    rng: np.random.Generator, plan: Plan, name: str, seed: int, split: str, *, peak_db: float
) -> tuple[Scene, Waveform]:
    """Add everything up, bring the peak to `peak_db` (dBFS), and write down what is there."""
    samples = round(plan.seconds * SAMPLE_RATE)
    mix_S = np.zeros(samples, np.float32)
    for placed in plan.placed:
        own_db = signals.level_db(placed.sounding_S)
        placed.sounding_S = placed.sounding_S * np.float32(signals.gain_of(placed.level_db - own_db))
        for onset_s in placed.onsets_s:
            start = round(onset_s * SAMPLE_RATE)
            part_S = placed.sounding_S[: samples - start]
            mix_S[start : start + len(part_S)] += part_S
    peak = float(np.abs(mix_S).max())
    if plan.floor_db is not None:
        colour = str(rng.choice(list(signals.NOISE_SLOPES)))
        mix_S += signals.coloured_noise(rng, samples, colour) * np.float32(peak * signals.gain_of(plan.floor_db))
        peak = float(np.abs(mix_S).max())
    scale = np.float32(signals.gain_of(peak_db) / peak)
    events = tuple(_measured(placed, scale) for placed in sorted(plan.placed, key=lambda placed: placed.onsets_s[0]))
    return Scene(name, samples / SAMPLE_RATE, seed, split, events), mix_S * scale


def _measured(placed: Placed, scale: np.float32) -> Event:
    """What the placed event is after gain and filters; an ambience lasts as long as the scene."""
    part = slice(0, len(placed.sounding_S)) if placed.is_background else signals.active_span(placed.sounding_S)
    first_s = placed.onsets_s[0] + part.start / SAMPLE_RATE
    return Event(
        sound=placed.recording.sounds[0],
        recording=placed.recording.path,
        onset_s=round(first_s, 4),
        duration_s=round(placed.onsets_s[-1] + part.stop / SAMPLE_RATE - first_s, 4),
        repeats=len(placed.onsets_s),
        level_db=round(signals.level_db(placed.sounding_S * scale), 2),
        pitch_hz=round(signals.centroid_hz(placed.sounding_S), 1),
        is_background=placed.is_background,
    )


def _nothing(rng: np.random.Generator, name: str, seed: int, split: str) -> tuple[Scene, Waveform]:
    """2 to 10 s in which nothing happens: silence (digital, or noise below -70 dBFS), noise, hum."""
    samples = int(rng.uniform(SHORTEST_S, LONGEST_S) * SAMPLE_RATE)
    what = str(rng.choice(["silence", *signals.NOISE_SLOPES, "hum"], p=[0.4, 0.15, 0.15, 0.15, 0.15]))
    if what == "hum":
        waveform_S = signals.hum(rng, samples) * np.float32(signals.gain_of(rng.uniform(-45.0, -15.0)))
    elif what == "silence":
        faint = signals.coloured_noise(rng, samples, str(rng.choice(list(signals.NOISE_SLOPES))))
        waveform_S = faint * np.float32(signals.gain_of(rng.uniform(-85.0, -70.0)) if rng.random() < 0.6 else 0.0)
    else:
        waveform_S = signals.coloured_noise(rng, samples, what) * np.float32(signals.gain_of(rng.uniform(-50.0, -18.0)))
    return Scene(name, samples / SAMPLE_RATE, seed, split, (), nothing=what), np.clip(waveform_S, -1.0, 1.0)
