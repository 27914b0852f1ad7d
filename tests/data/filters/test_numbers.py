"""Numbers with a unit: found, carried by a caption or not, said in words, and measured on the signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("sklearn")

from mellow.data.filters.apply import number_reason
from mellow.data.filters.numbers import quantities, uncarried
from mellow.data.filters.signal import RATE, measure, measured_clip, verdict
from mellow.data.filters.softening import softened

from .rows import choice_row, open_row


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("around 100-500 Hz", [("Hz", 100, 500)]),
        ("in the range of 5 kHz to 20 kHz", [("Hz", 5000, 20000)]),
        ("from 100 Hz to 2 kHz", [("Hz", 100, 2000)]),
        ("lasting around 0.1-0.2 seconds", [("s", 0.1, 0.2)]),
        ("between 20 and 200 hertz", [("Hz", 20, 200)]),
        ("at 80 dB", [("dB", 80, 80)]),
        ("peaks of -12.5 dBFS", [("dB", -12.5, -12.5)]),
        ("for two seconds", [("s", 2, 2)]),
        ("a 10-second clip", [("s", 10, 10)]),
        ("about 250ms and 3 minutes", [("s", 0.25, 0.25), ("s", 180, 180)]),
        ("5,000–20,000 Hz", [("Hz", 5000, 20000)]),
        ("after 1.5 s", [("s", 1.5, 1.5)]),
    ],
)
def test_quantities(text: str, found: list[tuple[str, float, float]]) -> None:
    assert [(q.unit, q.low, q.high) for q in quantities(text)] == [
        (u, pytest.approx(a), pytest.approx(b)) for u, a, b in found
    ]


@pytest.mark.parametrize(
    "text",
    ["three dogs", "the second dog", "music of the 1980s", "Audio 1 and Audio 2", "a high frequency", "4 stars"],
)
def test_other_numbers_are_none(text: str) -> None:
    assert quantities(text) == ()


def test_a_number_of_a_caption_is_carried() -> None:
    caption = "A phone rings for 5 seconds"
    assert uncarried(open_row("How long?", "It rings for 5 seconds.", caption)) == ()
    assert uncarried(open_row("How long?", "It rings for five seconds.", caption)) == ()
    assert len(uncarried(open_row("How long?", "It rings for 6 seconds.", caption))) == 1
    assert len(uncarried(choice_row("How high?", ("100 Hz", "2 kHz"), 0, caption))) == 2
    assert (
        number_reason(open_row("How long?", "It rings for 6 seconds.", caption)) == "no caption carries '6 seconds' (s)"
    )


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("A hum (around 100-200 Hz) and a hiss.", "A hum and a hiss."),
        ("It is in the 20-200 Hz range.", "It is in the low frequency range."),
        ("It lies in the range of 2-4 kHz.", "It lies in a high frequency range."),
        ("With a frequency range of around 500 to 1000 Hz, it hums.", "With a mid frequency range, it hums."),
        ("A low-frequency rumble, around 20-50 Hz, goes on.", "A low-frequency rumble, goes on."),
        ("It has a duration of around 1-2 seconds.", "It has a short duration."),
        ("It is short, lasting about 0.5 seconds.", "It is short."),
        ("It covers frequencies from 100 Hz to 8 kHz.", "It covers wide frequencies."),
        ("The overall loudness is high, around 80 dB, throughout.", "The overall loudness is high, throughout."),
    ],
)
def test_softening(said: str, instead: str) -> None:
    made = softened(open_row("How is it?", said))
    assert made is not None and made.answer == instead
    assert uncarried(made) == ()


def test_what_cannot_be_said_in_words() -> None:
    assert softened(open_row("How is it?", "The peak of 70 dB is at its end, 440 Hz to be exact")) is None
    assert softened(choice_row("How high?", ("100 Hz", "2 kHz"), 0)) is None


def test_softening_leaves_carried_numbers() -> None:
    row = open_row("How long?", "It rings for 5 seconds (at 440 Hz).", "It rings for 5 seconds")
    made = softened(row)
    assert made is not None and made.answer == "It rings for 5 seconds."


def tone(hz: float, seconds: float, level: float = -20.0) -> np.ndarray:
    """A sine whose RMS is `level` dBFS."""
    wave = np.sin(2 * np.pi * hz * np.arange(int(RATE * seconds)) / RATE) * 2**0.5 * 10 ** (level / 20)
    return wave.astype(np.float32)


def test_a_tone_is_measured() -> None:
    found = measure(tone(1000.0, 3.0, -20.0))
    assert found.seconds == pytest.approx(3.0)
    assert found.peak == pytest.approx(1000.0, abs=8.0)
    assert found.level == pytest.approx(-20.0, abs=0.1)
    assert found.share(900, 1100) > 0.99
    silence = measure(np.zeros(RATE, np.float32))
    assert silence.level == -np.inf and silence.share(0, RATE / 2) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("900-1100 Hz", "agrees"),
        ("1 kHz", "agrees"),
        ("2 kHz", "disagrees"),
        ("100-500 Hz", "disagrees"),
        ("17-20 kHz", "unmeasured"),
        ("3 seconds", "agrees"),
        ("10 seconds", "disagrees"),
        ("1 second", "unmeasured"),
        ("-20 dB", "agrees"),
        ("-40 dB", "disagrees"),
        ("80 dB", "unmeasured"),
    ],
)
def test_verdicts_on_a_tone_of_3_seconds_at_1_kHz(text: str, expected: str) -> None:
    (quantity,) = quantities(f"it is {text}")
    assert verdict(quantity, measure(tone(1000.0, 3.0, -20.0))) == expected
    assert verdict(quantity, None) == "unmeasured"


def test_a_number_that_the_clip_bears_out_needs_no_caption(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440.0, 2.0), RATE)
    assert number_reason(open_row("How high?", "It is at 440 Hz."), tmp_path) is None
    assert number_reason(open_row("How high?", "It is at 880 Hz."), tmp_path)
    assert number_reason(open_row("How high?", "It is at 440 Hz.", audio=("gone.wav",)), tmp_path)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    assert measured_clip(tmp_path / "b.wav") is None
