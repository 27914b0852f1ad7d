"""Which stretches of a clip are asked about, and what fills short ones; which processor a model gets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellow.audio import CED, HTSAT, log_mel, window_starts
from mellow.config import ModelConfig
from mellow.encoders import encoder_spec
from mellow.errors import AudioError
from mellow.llama import SMOLLM2_135M
from mellow.processor import ClipPolicy, Processor
from mellow.text.prompt import CompactPrompt
from mellow.text.published_prompt import PublishedPrompt
from mellow.text.tokenizer import Tokenizer
from mellow.types import Clip

RATE = HTSAT.sample_rate


def noise(seconds: float) -> Clip:
    waveform_S = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1
    return Clip(waveform_S, RATE)


def processor_of(tokenizer: Tokenizer, **settings: str) -> Processor:
    return Processor.of(ModelConfig.from_dict({"text_config": SMOLLM2_135M.to_config(), **settings}), tokenizer)


@pytest.fixture(scope="module")
def v0(tokenizer: Tokenizer) -> Processor:
    return processor_of(tokenizer, encoder="htsat", layout="published")


def with_policy(processor: Processor, policy: ClipPolicy) -> Processor:
    return Processor(processor.front_end, processor.prompt, policy)


# --- starts ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 3_000), st.integers(1, 400), st.integers(1, 400), st.integers(1, 50))
def test_windows_cover_the_clip_but_for_a_short_rest(samples: int, window_S: int, hop_S: int, rest_S: int) -> None:
    hop_S = min(hop_S, window_S)
    starts = window_starts(samples, window_S, hop_S, rest_S=rest_S)
    assert starts[0] == 0
    assert all(0 < after - before <= hop_S for before, after in pairwise(starts))
    if samples >= window_S:
        assert samples - rest_S < starts[-1] + window_S <= samples
    else:
        assert starts == [0]


def test_starts_in_seconds() -> None:
    wanted = {3: [0], 10: [0], 10.4: [0], 10.5: [0, 0.5], 18: [0, 8], 18.4: [0, 8], 25: [0, 8, 15], 26: [0, 8, 16]}
    for seconds, starts in wanted.items():
        assert window_starts(int(seconds * 10), 100, 80, rest_S=5) == [start * 10 for start in starts]


def test_impossible_windows() -> None:
    for window_S, hop_S in ((0, 1), (10, 0), (10, 11)):
        with pytest.raises(AudioError):
            window_starts(100, window_S, hop_S)


# --- views ----------------------------------------------------------------------------------------------------------


def test_every_view_of_v0_is_ten_seconds(v0: Processor) -> None:
    for seconds, ends in ((0.2, [0.2]), (10.0, [10.0]), (10.3, [10.0]), (25.0, [10.0, 18.0, 25.0])):
        views = list(v0.views(noise(seconds)))
        assert [view.end for view in views] == ends
        assert [view.start for view in views] == [max(0.0, end - 10) for end in ends]
        assert all([mel_FM.shape for mel_FM in view.windows] == [(1001, 64)] for view in views)


def test_short_clips_are_repeated_or_padded(v0: Processor) -> None:
    clip = noise(4.0)
    repeated = np.concatenate([clip.waveform_S] * 3)[: 10 * RATE]
    padded = np.concatenate([clip.waveform_S, np.zeros(6 * RATE, np.float32)])
    for processor, waveform_S in ((v0, repeated), (with_policy(v0, ClipPolicy("pad", "windows")), padded)):
        (view,) = processor.views(clip)
        np.testing.assert_array_equal(view.windows[0], log_mel(waveform_S, HTSAT))


def test_one_stretch_of_a_long_clip(v0: Processor) -> None:
    clip = noise(13.0)
    for name, start in (("start", 0.0), ("center", 1.5)):
        (view,) = with_policy(v0, ClipPolicy("repeat", name)).views(clip)  # type: ignore[arg-type]
        assert (view.start, view.end) == (start, start + 10)
        piece_S = clip.waveform_S[round(start * RATE) :][: 10 * RATE]
        np.testing.assert_array_equal(view.windows[0], log_mel(piece_S, HTSAT))


def test_the_compact_layout_hears_all_at_once(tokenizer: Tokenizer) -> None:
    frames = {"ced": [1001, 1001, 501], "cnn14": [1001, 1001, 501], "htsat": [1001, 1001, 1001]}
    for encoder, lengths in frames.items():
        processor = processor_of(tokenizer, encoder=encoder)
        clip = processor.clip(noise(25.0))
        (view,) = processor.views(clip)
        assert (view.start, view.end) == (0.0, pytest.approx(25.0))
        assert [len(mel_FM) for mel_FM in view.windows] == lengths
        for mel_FM, same_FM in zip(view.windows, processor.features(clip), strict=True):
            np.testing.assert_array_equal(mel_FM, same_FM)


# --- processors -----------------------------------------------------------------------------------------------------


def test_front_ends_by_encoder(tokenizer: Tokenizer) -> None:
    found = [processor_of(tokenizer, encoder=kind).front_end for kind in ("ced", "htsat", "cnn14")]
    assert found == [CED, HTSAT, HTSAT]
    assert encoder_spec("cnn14").front_end(encoder_spec("cnn14").sizes({"mel_bins": 32})).mel_bins == 32
    assert isinstance(processor_of(tokenizer).prompt, CompactPrompt)
    assert isinstance(processor_of(tokenizer, encoder="htsat", layout="published").prompt, PublishedPrompt)


def test_the_published_layout_takes_no_clip_as_one(tokenizer: Tokenizer) -> None:
    settings = {"text_config": SMOLLM2_135M.to_config(), "encoder": "htsat", "layout": "published"}
    with pytest.raises(AudioError, match="takes 10 s at a time"):
        Processor.of(ModelConfig.from_dict(settings), tokenizer, policy=ClipPolicy("pad", "join"))
