"""Recordings made on the fly."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

Encode = Callable[..., bytes]


def _encode(samples: np.ndarray, sample_rate: int = 16_000, **how: object) -> bytes:
    """The bytes of a file; `format` is WAV unless told."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, **{"format": "WAV", **how})
    return file.getvalue()


@pytest.fixture(scope="session")
def encode() -> Encode:
    return _encode


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """2.5 s at 16 kHz: more than two decoding blocks."""
    return (0.1 * np.random.default_rng(0).standard_normal(40_000)).clip(-0.9, 0.9).astype(np.float32)
