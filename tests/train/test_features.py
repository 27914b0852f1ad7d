"""The cache of encoder outputs: complete, resumable, within its budget of unreadable clips, never another clip's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mellow.errors import AudioError, DataError
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.processor import Processor
from mellow.train.features import FeatureCache

Fill = Any


@pytest.fixture
def recordings(tone: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(12):
        shutil.copyfile(tone(200 + 100 * number, 0.3), folder / f"{number}.wav")
    return folder


@pytest.fixture
def cache(recordings: Path, tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache", root=recordings, key="ced-1")


@pytest.fixture
def fill(tiny_model: MellowForConditionalGeneration, processor: Processor) -> Fill:
    def fill(cache: FeatureCache, clips: Iterable[str]) -> set[str]:
        return cache.fill(clips, tiny_model, processor)

    return fill


def names(recordings: Path) -> list[str]:
    return sorted(path.name for path in recordings.iterdir())


class Counting(Processor):
    """A processor that counts the clips it is given, and may fail at one of them."""

    seen: list[str]
    fatal: str = ""

    def clip(self, source: Any) -> Any:
        self.seen.append(Path(source).name)
        if Path(source).name == self.fatal:
            raise KeyboardInterrupt
        return super().clip(source)


def counting(processor: Processor, fatal: str = "") -> Counting:
    counted = Counting(processor.front_end, processor.prompt)
    object.__setattr__(counted, "seen", [])
    object.__setattr__(counted, "fatal", fatal)
    return counted


def test_what_is_kept_is_what_the_encoder_hears(
    cache: FeatureCache, recordings: Path, fill: Fill, tiny_model: MellowForConditionalGeneration, processor: Processor
) -> None:
    assert fill(cache, names(recordings)) == set()
    for clip in names(recordings):
        mels = processor.features(processor.clip(recordings / clip))
        with torch.inference_mode():
            outputs = [tiny_model.encoder(torch.from_numpy(mel)[None]) for mel in mels]
        kept = cache.read(clip)
        for name, exact in (
            ("frames", torch.cat([output.frames_BTE[0] for output in outputs])),
            ("step_scores", torch.cat([output.step_scores_BTC[0] for output in outputs])),
            ("clip_scores", torch.stack([output.clip_scores_BC[0] for output in outputs]).amax(0)),
        ):
            assert kept[name].dtype == np.float16
            np.testing.assert_allclose(kept[name], exact, rtol=2e-3, atol=1e-3)


def test_a_second_run_encodes_nothing(
    cache: FeatureCache, recordings: Path, fill: Fill, processor: Processor, tiny_model: MellowForConditionalGeneration
) -> None:
    fill(cache, names(recordings))
    again = counting(processor)
    assert cache.fill(names(recordings), tiny_model, again) == set()
    assert again.seen == []


def test_a_run_that_was_killed_goes_on_where_it_was(
    cache: FeatureCache, recordings: Path, processor: Processor, tiny_model: MellowForConditionalGeneration
) -> None:
    clips = names(recordings)
    first, second = counting(processor, fatal=clips[5]), counting(processor)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(clips, tiny_model, first)
    assert cache.fill(clips, tiny_model, second) == set()
    assert first.seen == clips[:6]
    assert second.seen == clips[5:]


def test_killed_while_writing_nothing_half_written_is_read(
    cache: FeatureCache, recordings: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        fill(cache, ["0.wav"])
    with pytest.raises(DataError, match=r"0\.wav"):
        cache.read("0.wav")
    monkeypatch.undo()
    fill(cache, ["0.wav"])
    assert set(cache.read("0.wav")) == {"frames", "step_scores", "clip_scores"}


# --- clips that cannot be heard -------------------------------------------------------------------------------------


def many(recordings: Path, good: int, bad: int) -> list[str]:
    """Links to one recording under many names, and files that are no audio."""
    for number in range(good):
        os.link(recordings / "0.wav", recordings / f"copy-{number}.wav")
    for number in range(bad):
        (recordings / f"bad-{number}.wav").write_bytes(b"no audio")
    return [f"copy-{n}.wav" for n in range(good)] + [f"bad-{n}.wav" for n in range(bad)]


def test_a_clip_that_cannot_be_heard_is_told_and_has_nobody_elses_outputs(
    cache: FeatureCache, recordings: Path, fill: Fill
) -> None:
    clips = many(recordings, good=99, bad=1)
    assert fill(cache, clips) == {"bad-0.wav"}
    with pytest.raises(DataError, match=r"bad-0\.wav"):
        cache.read("bad-0.wav")
    assert fill(cache, clips) == {"bad-0.wav"}  # told again by the next run


def test_more_than_one_in_a_hundred_stops_the_run(cache: FeatureCache, recordings: Path, fill: Fill) -> None:
    clips = many(recordings, good=99, bad=2)
    with pytest.raises(DataError, match=r"Too many clips cannot be read \(2\); the last: .*bad-1\.wav") as caught:
        fill(cache, clips)
    assert not isinstance(caught.value, AudioError)


def test_a_missing_clip_counts_as_one_that_cannot_be_heard(cache: FeatureCache, fill: Fill) -> None:
    with pytest.raises(DataError, match=r"Too many clips cannot be read \(1\); the last: There is no file .*gone\.wav"):
        fill(cache, ["gone.wav"])


def test_a_damaged_entry_is_an_error_that_names_the_clip(cache: FeatureCache, fill: Fill) -> None:
    fill(cache, ["0.wav"])
    os.truncate(cache.path("0.wav"), 50)
    with pytest.raises(DataError, match=r"encoder outputs of 0\.wav"):
        cache.read("0.wav")


# --- never another clip's audio -------------------------------------------------------------------------------------


def test_two_data_sets_with_equal_names_share_a_folder(
    cache: FeatureCache, recordings: Path, tmp_path: Path, fill: Fill, tone: Any
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copyfile(recordings / "7.wav", other / "0.wav")
    second = FeatureCache(tmp_path / "cache", root=other, key="ced-1")
    fill(cache, names(recordings))
    fill(second, ["0.wav"])
    assert np.array_equal(second.read("0.wav")["frames"], cache.read("7.wav")["frames"])
    assert not np.array_equal(second.read("0.wav")["frames"], cache.read("0.wav")["frames"])


def test_a_recording_made_anew_is_encoded_anew(cache: FeatureCache, recordings: Path, fill: Fill) -> None:
    fill(cache, names(recordings))
    before = cache.read("0.wav")["frames"]
    shutil.copyfile(recordings / "7.wav", recordings / "0.wav")
    with pytest.raises(DataError):
        cache.read("0.wav")
    fill(cache, ["0.wav"])
    assert np.array_equal(cache.read("0.wav")["frames"], cache.read("7.wav")["frames"])
    assert not np.array_equal(cache.read("0.wav")["frames"], before)


def test_another_encoder_has_its_own_entries(cache: FeatureCache, recordings: Path, tmp_path: Path, fill: Fill) -> None:
    fill(cache, ["0.wav"])
    with pytest.raises(DataError):
        FeatureCache(tmp_path / "cache", root=recordings, key="ced-2").read("0.wav")
