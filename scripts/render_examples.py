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
STEPS = 8  # footsteps in steps.flac

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


def grain(seconds: float, rng: Rng, *, low: float, high: float) -> Wave:
    """Noise whose loudness flutters, as of grit under a shoe."""
    flutter_S = np.abs(noise(seconds, rng, high=400))
    return noise(seconds, rng, low=low, high=high) * (0.2 + 1.2 * flutter_S)


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


def siren(rng: Rng, seconds: float = 4.0) -> Wave:
    """An emergency siren whose tone wails up and down."""
    time_S = times(seconds)
    sweep_S = 0.5 - 0.5 * np.cos(2 * np.pi * time_S / 1.6)
    frequency_S = 600 * (1500 / 600) ** sweep_S
    phase_S = 2 * np.pi * np.cumsum(frequency_S) / RATE
    horn_S = np.sum([np.sin(k * phase_S) / k**1.2 for k in range(1, 6)], axis=0)
    street_S = room(np.tanh(1.5 * horn_S), rng, seconds=0.8, level=0.4)
    return levelled(street_S + 0.01 * noise(seconds, rng, slope=6), 0.25)


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
    """Steady rain: a distant hiss, and a thousand drops a second that burst close by."""
    count = rng.poisson(1_000 * seconds)
    drops_S = np.zeros(round(seconds * RATE))
    for start in rng.random(count) * (seconds - 0.03):
        length = 0.01 + 0.012 * rng.random()
        drop_S = rng.standard_normal(round(length * RATE)) * decay(length, 0.002, attack=0.0006)
        begin = round(start * RATE)
        drops_S[begin : begin + len(drop_S)] += np.exp(0.8 * rng.standard_normal()) * drop_S
    hiss_S = noise(seconds, rng, low=300, high=7_000, slope=3)
    return levelled(shaped(drops_S, low=500, high=6_500, slope=3) + 0.7 * hiss_S, 0.12)


def steps(rng: Rng) -> Wave:
    """Eight footsteps: heel, its click, the sole, and a little scuffing."""
    pieces = []
    for n in range(STEPS):
        start = 0.25 + 0.48 * n + 0.007 * rng.standard_normal()
        side = 1 + 0.08 * (-1) ** n  # the feet are not alike
        weight = np.exp(0.18 * rng.standard_normal())
        heel_S = grain(0.2, rng, low=120 * side, high=1_250 * side) * decay(0.2, 0.03)
        click_S = grain(0.06, rng, low=1_000 * side, high=1_800 * side) * decay(0.06, 0.002, attack=0.0004)
        sole_S = grain(0.25, rng, low=300 * side, high=1_440 * side) * decay(0.25, 0.014, attack=0.0045)
        scuff_S = grain(0.3, rng, low=1_200 * side, high=7_000) * decay(0.3, 0.04, attack=0.035)
        roll = 0.118 * (1 + 0.15 * rng.standard_normal())  # seconds from heel to sole
        pieces += [(start, weight * heel_S), (start, 0.35 * weight * click_S)]
        pieces += [(start + roll, 0.66 * weight * sole_S), (start + 0.035, 0.24 * weight * scuff_S)]
    seconds = 0.6 + 0.48 * STEPS
    return levelled(place(seconds, pieces) + 0.004 * noise(seconds, rng, slope=3.4), 0.4)


def clock(rng: Rng) -> Wave:
    """A clock: tick, tock, twice a second."""
    pieces = []
    for n in range(10):
        pitch, level = (1.0, 1.0) if n % 2 == 0 else (0.8, 0.8)
        case_S = partials(0.06, [(2_860 * pitch, 0.5, 0.0045), (4_620 * pitch, 0.35, 0.003)], rng)
        click_S = noise(0.06, rng, low=2_200 * pitch, high=7_500) * decay(0.06, 0.003, attack=0.0003)
        pieces.append((0.2 + 0.5 * n, level * (click_S + case_S)))
    return levelled(room(place(5.4, pieces), rng, seconds=0.3, level=0.1) + 0.02 * noise(5.4, rng, slope=5), 0.25)


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
    garden_S = 0.004 * noise(5.5, rng, low=100, slope=4)
    return levelled(room(place(5.5, pieces), rng, seconds=0.7, level=0.25) + garden_S, 0.25)


def knock(rng: Rng) -> Wave:
    """Three knocks on a wooden door."""
    panel = [(140.0, 1.0, 0.016), (235.0, 0.8, 0.012), (390.0, 0.6, 0.01), (640.0, 0.4, 0.006)]
    pieces = []
    for start in (0.4, 0.6, 0.8):
        body = [(frequency * (1 + 0.01 * rng.standard_normal()), level, half) for frequency, level, half in panel]
        hit_S = noise(0.25, rng, low=80, high=2_500, slope=3) * decay(0.25, 0.02, attack=0.0007)
        pieces.append((start, (0.9 + 0.1 * rng.random()) * (partials(0.25, body, rng) + hit_S)))
    return levelled(room(place(2.2, pieces), rng, seconds=0.5, level=0.1) + 0.003 * noise(2.2, rng, slope=6), 0.5)


def engine(rng: Rng, seconds: float = 4.0) -> Wave:
    """A four-cylinder engine, idling: 26 firings a second, each a thump with a burst of noise."""
    firing = 26.0
    body = [
        (2.1 * firing, 1.0, 0.02),
        (95.0, 0.8, 0.018),
        (160.0, 0.6, 0.012),
        (310.0, 0.35, 0.008),
        (520.0, 0.2, 0.006),
    ]
    strength = (1.0, 0.8, 0.95, 0.75)  # no two cylinders are alike
    pieces, start = [], 0.0
    thump_S = partials(0.18, body, rng)
    for n in range(round(firing * seconds)):
        burst_S = 0.5 * noise(0.18, rng, low=80, high=4_500, slope=3) * decay(0.18, 0.03)
        pieces.append((start, strength[n % 4] * (1 + 0.2 * rng.standard_normal()) * (thump_S + burst_S)))
        start = min(seconds - 0.01, start + (1 + 0.06 * rng.standard_normal()) / firing)
    motor_S = shaped(place(seconds, pieces), low=20)
    rattle_S = 0.3 * noise(seconds, rng, low=400, high=5_000, slope=3)
    return levelled(motor_S + 0.2 * noise(seconds, rng, low=30, slope=6) + rattle_S, 0.35)


def silence(rng: Rng) -> Wave:
    """Nothing at all."""
    return np.zeros(3 * RATE)


def siren_then_rain(rng: Rng) -> Wave:
    """A siren, then rain."""
    wail_S = 0.6 * siren(rng, 2.3)
    fade_S = np.minimum(1.0, np.linspace(8, 0, len(wail_S)))
    return np.concatenate([wail_S * fade_S, np.zeros(RATE // 4), rain(rng, 2.2)])


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
