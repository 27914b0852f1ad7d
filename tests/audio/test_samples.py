"""Sources of any type: taken where their rate is known, else refused in one sentence."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellow.audio import MAX_SECONDS, clip_of, from_array
from mellow.errors import AudioError
from mellow.types import Clip

RATE = 16_000
X = (0.5 * np.sin(np.arange(RATE) * 0.2)).astype(np.float32)


def refusal(source: Any) -> str:
    with pytest.raises(AudioError) as caught:
        clip_of(source, RATE)
    message = str(caught.value)
    assert message[0].isupper() or message[0] == "'"
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 300
    return message


class Tensor:
    """What a torch tensor is to us: `numpy` refuses while it has a gradient or is on another device."""

    def __init__(self, array: np.ndarray, *, is_plain: bool = False) -> None:
        self.array, self.is_plain, self.dtype, self.ndim = array, is_plain, array.dtype, array.ndim

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return Tensor(self.array, is_plain=True)

    def __int__(self) -> int:
        return int(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if not self.is_plain:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array


SOURCES: dict[str, Any] = {
    "gradio": (RATE, (X * 32_767).astype(np.int16)),
    "librosa": (X, RATE),
    "torchaudio": (Tensor(X[None]), RATE),
    "a list": [RATE, X],
    "numpy's numbers": (np.int64(RATE), X),
    "a rate as float": (X, 16_000.0),
    "a rate as tensor": (X, Tensor(np.array(RATE))),
    "lists of floats": (RATE, X.tolist()),
    "datasets": {"array": X, "sampling_rate": RATE, "path": "a.wav"},
    "transformers": {"raw": X, "sampling_rate": RATE},
    "pyannote": {"waveform": Tensor(X[None]), "sample_rate": RATE},
    "datasets 4": SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=X[None], sample_rate=RATE)),
    "a clip of a list": Clip(X.tolist(), RATE),  # type: ignore[arg-type]
    "a clip of integers": Clip((X * 32_767).astype(int).tolist(), RATE),  # type: ignore[arg-type]
    "a clip of a tensor": Clip(Tensor(X), RATE),  # type: ignore[arg-type]
    "a clip without a name": Clip(X, RATE, None),  # type: ignore[arg-type]
    "one in a list": [Clip(X, RATE)],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_sources_with_a_rate(kind: str) -> None:
    clip = clip_of(SOURCES[kind], RATE)
    assert (clip.sample_rate, clip.seconds) == (RATE, 1)
    assert np.abs(clip.waveform_S - X).max() < 1e-4


def test_files_in_other_clothes(tmp_path: Path, encode: Any) -> None:
    data = encode(X, subtype="FLOAT")
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    sources: list[Any] = [
        [path],
        (str(path),),
        bytearray(data),
        memoryview(data),
        {"bytes": data, "path": None},
        {"bytes": None, "path": str(path)},
        SimpleNamespace(read=io.BytesIO(data).read, seek=lambda *a: None),
    ]
    for source in sources[:-1]:
        assert np.array_equal(clip_of(source, RATE).waveform_S, X)
    assert clip_of({"bytes": data, "path": "song.wav"}, RATE).name == "song.wav"
    assert "is not an open file that can seek" in refusal(sources[-1])


@pytest.mark.parametrize("source", [X, X.tolist(), tuple(X.tolist()), Tensor(X), X[None], [X, X], (0.5, 0.25)])
def test_samples_without_a_rate_name_the_way_out(source: Any) -> None:
    assert "give mellow.Clip(samples, rate)" in refusal(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "cannot be of type NoneType"),
        (5, "cannot be of type int"),
        ({1, 2}, "cannot be of type set"),
        (["a.wav", "b.wav"], "A list of 2 clips is not one clip"),
        ({"a": 1}, "the keys 'a'"),
        ({}, "the keys (none)"),
        (Clip("abc", RATE), "values, which are not samples"),  # type: ignore[arg-type]
        (Clip([[1, 2], [3]], RATE), "cannot be read as an array"),  # type: ignore[arg-type]
        (Clip(X, "16k"), "has the sample rate '16k'"),  # type: ignore[arg-type]
        (Clip(X, float("nan")), "has the sample rate nan"),  # type: ignore[arg-type]
        (Clip(X, True), "has the sample rate True"),
        (Clip(X, 10**9), "has 1000000000 Hz"),
        (Clip(None, RATE), "values, which are not samples"),  # type: ignore[arg-type]
        ("", "The path of the clip is empty"),
        ("https://example.org/a.wav", "is an address"),
        (io.StringIO("text"), "is open as text"),
    ],
)
def test_what_is_no_clip(source: Any, words: str) -> None:
    assert words in refusal(source)


@pytest.mark.parametrize(
    ("shape", "samples"),
    [((RATE,), RATE), ((RATE, 2), RATE), ((2, RATE), RATE), ((1, RATE), RATE), ((RATE, 1), RATE), ((1, 20), 20)],
)
def test_the_short_axis_is_the_channels(shape: tuple[int, ...], samples: int) -> None:
    assert len(from_array(np.zeros(shape, np.float32), RATE, RATE).waveform_S) == samples


@pytest.mark.parametrize("shape", [(), (3, 5), (40, 40), (1, 1, RATE), (2, 2, 2)])
def test_shapes_that_say_nothing(shape: tuple[int, ...]) -> None:
    assert "has shape" in refusal(Clip(np.zeros(shape, np.float32), RATE))


def test_arrays_are_bounded_as_files_are() -> None:
    too_long = np.zeros(round((MAX_SECONDS + 1) * 4_000), np.int8)
    assert f"longer than {MAX_SECONDS:g} s" in refusal(Clip(too_long, 4_000))
    with pytest.raises(AudioError, match="longer than 1 s"):
        from_array(np.zeros(RATE + 1), RATE, RATE, max_seconds=1)


class Broken:
    """Raises whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def seek(self, *args: Any) -> int:
        raise self.error

    tell = read = __array__ = __fspath__ = detach = get_all_samples = seek


class BreaksLater(io.BytesIO):
    """A file object that raises in the midst of decoding."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 10_000:
            raise KeyError("the connection was lost")
        return super().read(size)


def test_file_objects_that_break(encode: Any, capfd: pytest.CaptureFixture[str]) -> None:
    for how in ({"format": "FLAC"}, {"format": "WAV"}, {"format": "MP3"}, {"format": "OGG"}):
        data = encode(np.random.default_rng(0).uniform(-0.9, 0.9, 60 * RATE), **how)
        assert "the connection was lost" in refusal(BreaksLater(data))
    assert "not an open file" in refusal(SimpleNamespace(read=lambda n: b"", seek=lambda *a: 0, tell=lambda: "end"))
    ends_early = SimpleNamespace(read=lambda n: b"", seek=lambda *a: 0, tell=lambda: 1 << 60)
    assert "ended at byte 0" in refusal(ends_early)
    assert capfd.readouterr().err == ""


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=60),
    st.complex_numbers(),
    st.just(X),
    st.just(RATE),
    st.builds(Broken, st.sampled_from([TypeError("no"), ValueError(), RuntimeError("no\nno"), OSError(5, "no")])),
    st.builds(object),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["array", "sampling_rate", "bytes", "path", "raw", 1]), inner, max_size=3),
        st.builds(Clip, inner, inner, inner),
    ),
    max_leaves=8,
)


@given(source=ANYTHING)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_anything_is_a_clip_or_an_audio_error(source: Any) -> None:
    try:
        clip = clip_of(source, RATE)
    except AudioError as error:
        assert "\n" not in str(error)
        assert str(error).endswith(".")
    else:
        assert np.isfinite(clip.waveform_S).all()


def test_tensors_of_torch() -> None:
    torch = pytest.importorskip("torch")
    for tensor in (torch.tensor(X), torch.tensor(X, requires_grad=True), torch.tensor(X)[None].bfloat16()):
        clip = clip_of((tensor, torch.tensor(RATE)), RATE)
        assert np.abs(clip.waveform_S - X).max() < 0.01
        assert "mellow.Clip(samples, rate)" in refusal(tensor)
