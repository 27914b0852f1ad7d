"""Render the clips of examples/: sounds made of numbers, so that anyone may use them for anything.

    python scripts/render_examples.py [FOLDER]

Equal seeds give equal sounds. Shapes: S samples.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000  # Hz
FOLDER = Path(__file__).resolve().parent.parent / "examples"
SEED = 7

Rng = np.random.Generator
Wave = np.ndarray


# --- building blocks ------------------------------------------------------------------------------------------------


def times(seconds: float) -> Wave:
    return np.arange(round(seconds * RATE)) / RATE


def noise(seconds: float, rng: Rng, *, low: float = 0.0, high: float = RATE / 2, slope: float = 0.0) -> Wave:
    """Gaussian noise of power 1 between two frequencies in Hz, falling by `slope` dB per octave."""
    samples = round(seconds * RATE)
    return shaped(rng.standard_normal(samples), low=low, high=high, slope=slope)


def shaped(wave_S: Wave, *, low: float = 0.0, high: float = RATE / 2, slope: float = 0.0) -> Wave:
    """Filter by gain curve: soft edges of half an octave at `low` and `high`; the result has power 1."""
    frequencies = np.fft.rfftfreq(len(wave_S), 1 / RATE)
    octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
    gain = 10 ** (-slope * octaves / 20)
    if low > 0:
        gain /= 1 + (low / np.maximum(frequencies, 1.0)) ** 6
    if high < RATE / 2:
        gain /= 1 + (frequencies / high) ** 6
    filtered_S = np.fft.irfft(np.fft.rfft(wave_S) * gain, len(wave_S))
    return np.asarray(filtered_S / max(filtered_S.std(), 1e-12))


def decay(seconds: float, half_life: float, *, attack: float = 0.002) -> Wave:
    """An envelope that rises within `attack` seconds and then halves every `half_life`."""
    time_S = times(seconds)
    return np.minimum(time_S / attack, 1.0) * 0.5 ** (time_S / half_life)


def partials(seconds: float, parts: Sequence[tuple[float, float, float]], rng: Rng) -> Wave:
    """A struck body: a decaying sine for each (frequency in Hz, level, half-life in s)."""
    time_S = times(seconds)
    wave_S = np.zeros(len(time_S))
    for frequency, level, half_life in parts:
        wave_S += level * decay(seconds, half_life) * np.sin(2 * np.pi * (frequency * time_S + rng.random()))
    return wave_S


def place(seconds: float, pieces: Sequence[tuple[float, Wave]]) -> Wave:
    """Lay pieces onto silence, each from its second on."""
    wave_S = np.zeros(round(seconds * RATE))
    for start, piece_S in pieces:
        begin = round(start * RATE)
        length = min(len(piece_S), len(wave_S) - begin)
        wave_S[begin : begin + length] += piece_S[:length]
    return wave_S


def room(wave_S: Wave, rng: Rng, *, seconds: float, level: float, high: float = 5_000.0) -> Wave:
    """Add a room's decaying echo."""
    tail_S = noise(seconds, rng, high=high) * decay(seconds, seconds / 8, attack=0.005)
    length = len(wave_S) + len(tail_S)
    echo_S = np.fft.irfft(np.fft.rfft(wave_S, length) * np.fft.rfft(tail_S, length), length)[: len(wave_S)]
    return np.asarray(wave_S + level * echo_S * wave_S.std() / max(echo_S.std(), 1e-12))


def levelled(wave_S: Wave, peak: float) -> Wave:
    return wave_S * (peak / np.abs(wave_S).max())


# --- sounds ---------------------------------------------------------------------------------------------------------


def siren(rng: Rng, seconds: float = 5.0) -> Wave:
    """An emergency siren whose tone wails up and down."""
    time_S = times(seconds)
    sweep_S = 0.5 - 0.5 * np.cos(2 * np.pi * time_S / 1.6)
    frequency_S = 600 * (1500 / 600) ** sweep_S
    phase_S = 2 * np.pi * np.cumsum(frequency_S) / RATE
    horn_S = sum(np.sin(k * phase_S) / k**1.2 for k in range(1, 6))
    street_S = room(np.tanh(1.5 * np.asarray(horn_S)), rng, seconds=0.8, level=0.4)
    return levelled(street_S + 0.02 * noise(seconds, rng, slope=6), 0.5)


def bell(rng: Rng) -> Wave:
    """A church bell, struck three times."""
    ratios = [(0.5, 0.5, 1.6), (1.0, 0.8, 1.2), (1.19, 0.7, 0.9), (1.5, 0.4, 0.6), (2.0, 1.0, 0.7), (2.51, 0.4, 0.35)]
    ratios += [(2.66, 0.35, 0.3), (3.01, 0.4, 0.25), (4.17, 0.3, 0.15), (5.43, 0.2, 0.1), (6.8, 0.12, 0.06)]
    parts = [(420 * ratio, level, half_life) for ratio, level, half_life in ratios]
    parts += [(frequency * 1.003, 0.5 * level, half_life) for frequency, level, half_life in parts]
    strokes = [(0.1 + 2.0 * n, partials(4.0, parts, rng)) for n in range(3)]
    clapper = [(0.1 + 2.0 * n, 1.2 * noise(0.03, rng, low=1500) * decay(0.03, 0.005)) for n in range(3)]
    return levelled(room(place(6.5, strokes + clapper), rng, seconds=1.0, level=0.2), 0.6)


def rain(rng: Rng, seconds: float = 4.0) -> Wave:
    """Steady rain: a hiss, and single drops."""
    hiss_S = noise(seconds, rng, low=400, high=6500, slope=1.5)
    drops = []
    for _ in range(round(220 * seconds)):
        length = 0.012 + 0.02 * rng.random()
        tone = 1200 * 4 ** rng.random()
        drop_S = np.sin(2 * np.pi * tone * times(length)) * decay(length, 0.003 + 0.004 * rng.random(), attack=0.0005)
        drops.append((rng.random() * (seconds - 0.05), drop_S * 4 * rng.random() ** 3))
    return levelled(hiss_S + 0.8 * place(seconds, drops), 0.12)


def steps(rng: Rng) -> Wave:
    """Eight footsteps on a wooden floor."""
    pieces = []
    for n in range(8):
        start = 0.25 + 0.56 * n + 0.015 * rng.standard_normal()
        weight = 1.0 + 0.12 * rng.standard_normal()
        heel_S = 1.0 * noise(0.12, rng, low=60, high=420) * decay(0.12, 0.016, attack=0.001)
        knock_S = 0.5 * noise(0.05, rng, low=500, high=2600) * decay(0.05, 0.006, attack=0.0005)
        sole_S = 0.22 * noise(0.14, rng, low=700, high=4500) * decay(0.14, 0.03, attack=0.03)
        pieces += [(start, weight * heel_S), (start, weight * knock_S), (start + 0.09, weight * sole_S)]
    return levelled(room(place(5.0, pieces), rng, seconds=0.5, level=0.35) + 0.002 * noise(5.0, rng, slope=6), 0.5)


def clock(rng: Rng) -> Wave:
    """A clock: tick, tock, twice a second."""
    pieces = []
    for n in range(12):
        pitch = 1.0 if n % 2 == 0 else 0.82
        body = [
            (2100 * pitch, 0.6, 0.006),
            (3400 * pitch, 0.8, 0.004),
            (5200 * pitch, 0.5, 0.003),
            (950 * pitch, 0.4, 0.008),
        ]
        tick_S = partials(0.08, body, rng) + 0.5 * noise(0.08, rng, low=2000) * decay(0.08, 0.002, attack=0.0003)
        pieces += [(0.2 + 0.5 * n, tick_S), (0.2 + 0.5 * n + 0.022, 0.35 * tick_S)]
    return levelled(room(place(6.2, pieces), rng, seconds=0.25, level=0.2) + 0.002 * noise(6.2, rng, slope=6), 0.4)


def bird(rng: Rng) -> Wave:
    """A small bird, chirping in phrases."""
    pieces = []
    for phrase in range(4):
        start = 0.3 + 1.25 * phrase
        for n in range(4 + int(rng.integers(3))):
            length = 0.07 + 0.04 * rng.random()
            time_S = times(length)
            frequency_S = 3000 + 500 * rng.random() + 2600 * (time_S / length) ** 0.7 - 2200 * (time_S / length) ** 3
            phase_S = 2 * np.pi * np.cumsum(frequency_S) / RATE
            shape_S = np.sin(np.pi * time_S / length) ** 0.8
            chirp_S = shape_S * (np.sin(phase_S) + 0.12 * np.sin(2 * phase_S))
            pieces.append((start + 0.13 * n + 0.01 * rng.random(), chirp_S * (0.7 + 0.3 * rng.random())))
    garden_S = 0.01 * noise(5.5, rng, low=100, slope=3)
    return levelled(room(place(5.5, pieces), rng, seconds=0.7, level=0.25) + garden_S, 0.4)


def knock(rng: Rng) -> Wave:
    """Three knocks on a wooden door."""
    pieces = []
    for start in (0.4, 0.72, 1.04):
        body = [
            (140.0, 1.0, 0.02),
            (235.0, 0.8, 0.015),
            (390.0, 0.6, 0.012),
            (640.0, 0.4, 0.008),
            (1050.0, 0.25, 0.005),
        ]
        body = [(f * (1 + 0.01 * rng.standard_normal()), level, half) for f, level, half in body]
        hit_S = partials(0.25, body, rng) + 0.5 * noise(0.25, rng, low=200, high=3000) * decay(
            0.25, 0.005, attack=0.0005
        )
        pieces.append((start, hit_S * (0.9 + 0.1 * rng.random())))
    return levelled(room(place(2.5, pieces), rng, seconds=0.5, level=0.4) + 0.001 * noise(2.5, rng, slope=6), 0.7)


def engine(rng: Rng, seconds: float = 5.0) -> Wave:
    """A four-cylinder engine, idling."""
    time_S = times(seconds)
    turn = 13.0  # revolutions per second: two firings each
    wander_S = 1 + 0.01 * shaped(rng.standard_normal(len(time_S)), high=3.0)
    phase_S = 2 * np.pi * np.cumsum(turn * wander_S) / RATE
    firing_S = np.zeros(len(time_S))
    for k in range(1, 60):
        level = (1.0 if k % 2 == 0 else 0.25) / (1 + (k / 8) ** 1.3)
        firing_S += level * np.sin(k * phase_S + 2 * np.pi * rng.random())
    pulse_S = np.maximum(np.sin(2 * phase_S), 0) ** 3
    rattle_S = noise(seconds, rng, low=300, high=3500, slope=3) * (0.25 + pulse_S)
    return levelled(firing_S / firing_S.std() + 0.5 * rattle_S + 0.3 * noise(seconds, rng, low=40, high=200), 0.4)


def silence(rng: Rng) -> Wave:
    """Nothing at all."""
    return np.zeros(3 * RATE)


def siren_then_rain(rng: Rng) -> Wave:
    """A siren, then rain."""
    first_S = siren(rng, 3.2)
    fade_S = np.minimum(1.0, np.linspace(8, 0, len(first_S)))
    return np.concatenate([first_S * fade_S, np.zeros(RATE // 4), rain(rng, 3.2)])


SOUNDS: dict[str, Callable[[Rng], Wave]] = {
    sound.__name__: sound for sound in (siren, bell, rain, steps, clock, bird, knock, engine, silence, siren_then_rain)
}


def render(name: str) -> Wave:
    """The samples of one example, float64 in [-1, 1]."""
    return SOUNDS[name](np.random.default_rng([SEED, list(SOUNDS).index(name)]))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOUNDS:
        soundfile.write(folder / f"{name}.flac", render(name), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
