"""Samples that are already decoded: arrays, tensors, lists, dicts of datasets.

A source without a rate is refused with a message that names `mellow.Clip(samples, rate)`.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from mellow.audio.collect import MAX_CHANNELS, MAX_SECONDS, Collector
from mellow.audio.decode import load
from mellow.errors import AudioError
from mellow.types import Clip

__all__ = ["Source", "clip_of", "from_array"]

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Clip | Mapping[str, Any] | Sequence[Any]

log = logging.getLogger(__name__)

WITH_A_RATE = "give mellow.Clip(samples, rate)"
SAMPLES_KEYS = ("array", "raw", "waveform", "audio", "samples")
RATE_KEYS = ("sampling_rate", "sample_rate", "rate", "sr")
WIDTHS = (8, 16, 24, 32)  # bits of samples that are stored in wider integers


def clip_of(source: object, sample_rate: int) -> Clip:
    """A clip of any source whose rate is known.

    source: a path, the bytes of a file, a binary file object; a Clip; a pair of samples and rate in either order
        (soundfile, librosa, torchaudio, gradio); a dict of `datasets` ({"array", "sampling_rate"} or {"bytes",
        "path"}) or its decoder; or a list of one of these. Samples: see `from_array`.
    sample_rate: wanted rate in Hz.
    Raises AudioError, one sentence, for everything else.
    """
    if isinstance(source, Clip):
        name = source.name if isinstance(source.name, str) else "<array>"
        return from_array(source.waveform_S, source.sample_rate, sample_rate, name=name)
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
        return load(source, sample_rate)
    if isinstance(source, Mapping):
        return _from_mapping(source, sample_rate)
    if isinstance(source, (tuple, list)):
        return _from_sequence(source, sample_rate)
    if callable(getattr(source, "get_all_samples", None)):  # torchcodec's decoder, of datasets 4
        return _from_decoder(source, sample_rate)
    if isinstance(source, io.IOBase) or (hasattr(source, "read") and hasattr(source, "seek")):
        return load(source, sample_rate)
    if _is_samples(source):
        raise AudioError(f"An array of type {type(source).__name__} has no sample rate; {WITH_A_RATE}.")
    raise AudioError(
        f"A clip cannot be of type {type(source).__name__}; give a path, the bytes of a file, or mellow.Clip(samples, "
        "rate)."
    )


def from_array(
    waveform: Any, sample_rate_in: Any, sample_rate: int, *, name: str = "<array>", max_seconds: float = MAX_SECONDS
) -> Clip:
    """Take samples that are already decoded.

    waveform: an array, a tensor or a list, (S,), (S, C) or (C, S). Of two axes the one with at most 32 entries is the
        channels; where both are that short, the shape is ambiguous and refused.
        Floats are nominally in [-1, 1]; where most are beyond 1, and some beyond 32, they are read as 16- or 32-bit
        integers. Integers cover the full range of their type, unless all fit into a narrower one (16 or 24 bits of 32
        or 64; unsigned ones of any width). Both are logged as warnings.
    sample_rate_in, sample_rate: the array's rate and the wanted one, in Hz.
    Raises AudioError for another shape or dtype, no samples, too many or not finite ones, or invalid rates.
    """
    rate_in = _rate(sample_rate_in, name)
    waveform_SC = _channels_last(_array(waveform, name), name)
    collector = Collector(name, sample_rate, max_seconds)
    collector.begin(rate_in, max(1, waveform_SC.shape[1]))
    if len(waveform_SC) / rate_in > max_seconds:
        raise AudioError(f"{name!r} is longer than {max_seconds:g} s; cut it into shorter clips.")
    middle, full = _scale(waveform_SC, name)
    for start in range(0, len(waveform_SC), collector.block):
        block_SC = waveform_SC[start : start + collector.block]
        with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite and are reported
            if full != 1:
                block_SC = (block_SC.astype(np.float64) - middle) / full
            collector.add(block_SC.astype(np.float32, copy=False))
    return collector.clip(warn_of_silence=waveform_SC.dtype.kind != "f")  # a decoded clip has been checked


def _from_mapping(source: Mapping[Any, Any], sample_rate: int) -> Clip:
    path = source.get("path")
    name = path if isinstance(path, str) and path else None
    samples = next((source[key] for key in SAMPLES_KEYS if source.get(key) is not None), None)
    rate = next((source[key] for key in RATE_KEYS if source.get(key) is not None), None)
    if samples is not None and rate is not None:
        return from_array(samples, rate, sample_rate, name=name or "<array>")
    if isinstance(source.get("bytes"), (bytes, bytearray, memoryview)):
        return load(source["bytes"], sample_rate, name=name)
    if name is not None:
        return load(name, sample_rate)
    raise AudioError(
        f"A dict with the keys {_listed(source)} is not a clip; it needs 'array' and 'sampling_rate', or 'bytes' or "
        "'path'."
    )


def _from_sequence(source: tuple[Any, ...] | list[Any], sample_rate: int) -> Clip:
    if len(source) == 1 and not _is_number(source[0]) and not _is_samples(source[0]):
        return clip_of(source[0], sample_rate)
    if len(source) == 2:
        for rate, samples in (source, source[::-1]):
            if _is_number(rate) and not _is_number(samples) and _is_samples(samples):
                return from_array(samples, rate, sample_rate)
    if source and all(isinstance(one, (str, os.PathLike, bytes, Clip, Mapping)) for one in source):
        raise AudioError(f"A list of {len(source)} clips is not one clip; give them one by one.")
    what = f"A {type(source).__name__} of {len(source)} items"
    raise AudioError(f"{what} is not a clip whose sample rate is known; {WITH_A_RATE}.")


def _from_decoder(source: Any, sample_rate: int) -> Clip:
    try:
        samples = source.get_all_samples()
        array, rate = samples.data, samples.sample_rate
    except Exception as error:  # another library's
        raise AudioError(f"A {type(source).__name__} gave no samples ({error}); {WITH_A_RATE}.") from error
    return from_array(array, rate, sample_rate)


def _array(waveform: Any, name: str) -> np.ndarray:
    """Anything that holds numbers as a numeric array."""
    try:
        if hasattr(waveform, "detach"):  # a torch tensor, on any device, with a gradient or not
            waveform = waveform.detach().cpu()
            if str(waveform.dtype) == "torch.bfloat16":  # numpy has none
                waveform = waveform.float()
        array = np.asarray(waveform)
    except Exception as error:  # __array__ may raise anything; lists may be ragged
        raise AudioError(
            f"{name!r} of type {type(waveform).__name__} cannot be read as an array ({_first_sentence(error)}); "
            "give floats or integers."
        ) from error
    if array.dtype.kind not in "fiu":
        raise AudioError(f"{name!r} holds {array.dtype} values, which are not samples; give floats or integers.")
    return array


def _channels_last(waveform: np.ndarray, name: str) -> np.ndarray:
    """(S, C) of an array whose axes can be distinguished."""
    if waveform.ndim == 1:
        return waveform[:, None]
    if waveform.ndim == 2:
        first, second = waveform.shape
        if first <= MAX_CHANNELS < second or (first == 1 and second > 1):
            return waveform.T
        if second <= MAX_CHANNELS < first or second == 1:
            return waveform
    raise AudioError(
        f"{name!r} has shape {waveform.shape}; give (samples,), (samples, channels) or (channels, samples), "
        f"with at most {MAX_CHANNELS} channels and more samples than that."
    )


def _scale(waveform_SC: np.ndarray, name: str) -> tuple[float, float]:
    """What to subtract from an array's values, and what to divide them by then."""
    kind, bits = waveform_SC.dtype.kind, 8 * waveform_SC.dtype.itemsize
    if kind == "f":
        return 0.0, 1.0
    if waveform_SC.size == 0:
        return 0.0, 2.0
    lowest, highest = int(waveform_SC.min()), int(waveform_SC.max())
    used, is_unsigned = bits, kind == "u"
    if kind == "i" and lowest >= 0 and bits > 8:  # unsigned samples in a signed type are centred on half their range
        fit = next((width for width in WIDTHS if highest < 1 << width), bits)
        is_unsigned = fit < bits and 1 / 4 < waveform_SC.mean(dtype=np.float64) / (1 << fit) < 3 / 4
    if is_unsigned:
        used = next((width for width in WIDTHS if highest < 1 << width), bits)
    elif bits > 16:
        peak = max(highest, -lowest)
        used = next((width for width in WIDTHS[1:] if peak <= 1 << (width - 1)), bits)
        if used == 24 and not (waveform_SC & 0xFF).any():  # shifted up, as soundfile does with quiet recordings
            used = bits
    used = min(used, bits)
    if used < bits and highest > lowest:
        log.warning(
            "%r holds %d-bit integers that use %d bits; they are read as %d-bit samples.", name, bits, used, used
        )
    half = 2.0 ** (used - 1)
    return (half if is_unsigned else 0.0), half


def _rate(rate: Any, name: str) -> int:
    try:
        whole = int(rate)
        if whole == float(rate) and not isinstance(rate, bool):
            return whole
    except Exception:  # of any type
        pass
    raise AudioError(f"{name!r} has the sample rate {rate!r:.40}, which is not a whole number of Hz; {WITH_A_RATE}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) or (_is_samples(value) and getattr(value, "ndim", 1) == 0)


def _is_samples(value: object) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")


def _listed(source: Mapping[Any, Any]) -> str:
    keys = [repr(key)[:40] for key in list(source)[:6]]
    return ", ".join(keys) if keys else "(none)"
