"""Clip policies: their lengths, their contents, and that nothing is random without a seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mellow.audio
from mellow.audio import POLICIES, Policy, fit, windows
from mellow.audio import policy as policy_module
from mellow.errors import AudioError

clips = st.integers(1, 2_000).map(lambda samples: np.arange(1, samples + 1, dtype=np.float32))
lengths = st.integers(1, 700)
policies = st.sampled_from(POLICIES)


@given(clips, lengths)
def test_windows_put_together_are_the_clip(clip_S: np.ndarray, window_S: int) -> None:
    parts = windows(clip_S, window_S, hop_S=1)
    assert np.array_equal(np.concatenate(parts), clip_S)
    assert all(len(part) == window_S for part in parts[:-1])
    assert 1 <= len(parts[-1]) <= window_S


@given(clips, lengths, st.integers(1, 300))
def test_only_a_remainder_below_a_hop_is_dropped(clip_S: np.ndarray, window_S: int, hop_S: int) -> None:
    heard_S = np.concatenate(windows(clip_S, window_S, hop_S=hop_S))
    dropped = len(clip_S) - len(heard_S)
    assert np.array_equal(heard_S, clip_S[: len(heard_S)])
    assert dropped in (0, len(clip_S) % window_S)
    assert dropped < hop_S
    assert len(heard_S) >= min(window_S, len(clip_S))


@given(clips, clips, lengths)
def test_new_samples_never_change_earlier_windows(clip_S: np.ndarray, more_S: np.ndarray, window_S: int) -> None:
    before = windows(clip_S, window_S)
    after = windows(np.concatenate([clip_S, more_S]), window_S)
    for old, new in zip(before, after, strict=False):
        assert np.array_equal(old, new[: len(old)])
    assert len(after) >= len(before)


def test_windows_of_ten_seconds() -> None:
    assert [len(part) for part in windows(np.zeros(400_000), 160_000)] == [160_000, 160_000, 80_000]
    assert [len(part) for part in windows(np.zeros(320_159), 160_000)] == [160_000, 160_000]  # 159 samples: no frame
    assert [len(part) for part in windows(np.zeros(320_160), 160_000)] == [160_000, 160_000, 160]
    assert [len(part) for part in windows(np.zeros(5), 160_000)] == [5]  # the only window is kept, however short


@given(clips, lengths, policies, st.integers(0, 99))
def test_fit_gives_the_length_and_the_samples_of_the_clip(
    clip_S: np.ndarray, length_S: int, policy: Policy, seed: int
) -> None:
    fitted_S = fit(clip_S, length_S, policy, seed=seed)
    assert fitted_S.shape == (length_S,)
    assert fitted_S.dtype == np.float32
    assert np.array_equal(fitted_S, fit(clip_S, length_S, policy, seed=seed))
    if len(clip_S) >= length_S:  # a run of consecutive samples
        assert np.all(np.diff(fitted_S) == 1)
        assert 1 <= fitted_S[0] <= fitted_S[-1] <= len(clip_S)
    elif policy == "repeat":
        assert np.array_equal(fitted_S, np.tile(clip_S, -(-length_S // len(clip_S)))[:length_S])
    else:
        assert np.array_equal(fitted_S[: len(clip_S)], clip_S)
        assert not fitted_S[len(clip_S) :].any()


@pytest.mark.parametrize(
    ("policy", "long", "short"),
    [
        ("start", [1, 2], [1, 2, 3, 4, 5, 0, 0]),
        ("center", [2, 3], [1, 2, 3, 4, 5, 0, 0]),
        ("pad", [1, 2], [1, 2, 3, 4, 5, 0, 0]),
        ("repeat", [1, 2], [1, 2, 3, 4, 5, 1, 2]),
    ],
)
def test_the_table(policy: Policy, long: list[int], short: list[int]) -> None:
    clip_S = np.arange(1, 6, dtype=np.float32)
    assert fit(clip_S, 2, policy).tolist() == long
    assert fit(clip_S, 7, policy).tolist() == short
    assert fit(clip_S, 5, policy).tolist() == clip_S.tolist()


def test_random_reaches_every_crop_and_is_fixed_by_its_seed() -> None:
    clip_S = np.arange(5)
    starts = [int(fit(clip_S, 3, "random", seed=seed)[0]) for seed in range(60)]
    assert set(starts) == {0, 1, 2}
    assert starts == [int(fit(clip_S, 3, "random", seed=seed)[0]) for seed in range(60)]
    assert fit(clip_S, 7, "random", seed=1).tolist() == [0, 1, 2, 3, 4, 0, 0]


def test_what_cannot_be_fitted() -> None:
    clip_S = np.ones(5)
    with pytest.raises(AudioError, match="needs a seed"):
        fit(clip_S, 3, "random")
    with pytest.raises(AudioError, match="choose one of start, center, random, pad, repeat"):
        fit(clip_S, 3, "middle")  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="empty"):
        fit(clip_S[:0], 3, "repeat")
    for length_S in (0, -1):
        with pytest.raises(AudioError, match="at least one"):
            fit(clip_S, length_S, "pad")
        with pytest.raises(AudioError, match="at least one"):
            windows(clip_S, length_S)


def test_every_policy_is_in_the_table() -> None:
    for policy in POLICIES:
        assert f'| `"{policy}"`' in str(policy_module.__doc__)


def test_all_names_the_public_names() -> None:
    assert sorted(mellow.audio.__all__) == sorted(set(mellow.audio.__all__))
    for name in mellow.audio.__all__:
        assert getattr(mellow.audio, name) is not None
