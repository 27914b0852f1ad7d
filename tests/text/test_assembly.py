"""One prompt for asking, training and transformers: equal ids, masks, labels and audio spans, in both layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mellow
from mellow.answer.choose import ChoiceRule
from mellow.answer.decode import DecodingOptions
from mellow.answer.encode import EncodedClip
from mellow.answer.facade import Mellow
from mellow.engines.interface import Cache
from mellow.text.prompt import AUDIO, IGNORE, Assembled
from mellow.text.published_prompt import PublishedPrompt
from mellow.types import Example

QUESTION, OPTIONS, ANSWER = "Which sound comes first?", ("a dog", "rain"), "The dog barks before it rains."


@pytest.fixture(scope="module", params=["compact", "published"])
def directory(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue("tiny_model_dir" if request.param == "compact" else "published_dir")
    return found


@pytest.fixture(scope="module")
def model(directory: Path) -> Mellow:
    return mellow.load(directory, dtype="fp32")


@pytest.fixture(params=[0, 1, 2], ids=["no clip", "one clip", "two clips"])
def sources(request: pytest.FixtureRequest, tone: Callable[..., Path]) -> list[Path]:
    return [tone(440, 2.0), tone(900, 3.1)][: request.param]


@pytest.fixture
def clips(model: Mellow, sources: Sequence[Path]) -> list[EncodedClip]:
    return list(model.encode(*sources).clips) if sources else []


@pytest.fixture
def expected(model: Mellow, clips: Sequence[EncodedClip]) -> Assembled:
    """What every way has to give."""
    prompt = model.processor.prompt
    asked = model.processor.question(QUESTION, clips=len(clips))
    return prompt.assemble([clip.tokens for clip in clips], asked, ANSWER)


def spans(ids: Sequence[int], lengths: Sequence[int]) -> list[range]:
    """Where the audio tokens of each slot stand: runs of AUDIO, which have these lengths."""
    found = []
    for is_audio, run in groupby(enumerate(ids), lambda pair: pair[1] == AUDIO):
        places = [place for place, _ in run]
        if is_audio:
            found.append(range(places[0], places[-1] + 1))
    assert [len(span) for span in found] == list(lengths)
    return found


def test_the_expected_prompt_is_one_of_these_clips(
    model: Mellow, clips: Sequence[EncodedClip], expected: Assembled
) -> None:
    """Spans, labels and ids as the layout tells them, without the code that makes them."""
    slots = model.processor.prompt.slots(clips)
    twice = isinstance(model.processor.prompt, PublishedPrompt) and len(clips) == 1
    assert slots == (list(clips) * 2 if twice else list(clips))
    assert expected.spans == spans(expected.ids, [len(clip.audio_KD) for clip in slots])
    learnt = [token for token in expected.labels if token != IGNORE]
    assert expected.ids[-len(learnt) :] == learnt == model.processor.prompt.answer(ANSWER)
    assert len(expected.ids) == len(expected.labels)


@pytest.fixture
def read(model: Mellow, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Whatever an engine reads from now on: of each pass, the embeddings (L, D) of all positions that count."""
    passes: list[np.ndarray] = []
    behind: list[tuple[Cache, np.ndarray]] = []  # what stands in each cache
    forward, take = model.engine.forward, model.engine.take

    def before(cache: Cache | None) -> list[np.ndarray]:
        return [embeds_LD for known, embeds_LD in behind if known is cache][-1:]

    def watch_forward(embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, **how: Any) -> Any:
        logits, after = forward(embeds_BLD, mask_BL, cache, **how)
        passes.append(np.concatenate([*before(cache), embeds_BLD[0][mask_BL[0].astype(bool)]]))
        assert after.mask_BL[0].sum() == len(passes[-1])
        behind.append((after, passes[-1]))
        return logits, after

    def watch_take(cache: Cache, rows: Sequence[int]) -> Cache:
        taken = take(cache, rows)
        behind.extend((taken, embeds_LD) for embeds_LD in before(cache))
        return taken

    monkeypatch.setattr(model.engine, "forward", watch_forward)
    monkeypatch.setattr(model.engine, "take", watch_take)
    return passes


def test_asking_reads_this_prompt(
    model: Mellow, sources: Sequence[Path], clips: Sequence[EncodedClip], expected: Assembled, read: list[np.ndarray]
) -> None:
    """Without a clip it is what options are scored by where nothing is heard."""
    ids = [token for token, label in zip(expected.ids, expected.labels, strict=True) if label == IGNORE]
    audio = [clip.audio_KD for clip in model.processor.prompt.slots(clips)]
    embeds_LD = model.engine.embed(ids, np.concatenate(audio) if audio else None)
    if sources:
        model.encode(*sources).ask(QUESTION, decoding=DecodingOptions(max_new_tokens=1))
        np.testing.assert_array_equal(read[-1], embeds_LD)
    else:
        question_LD = model.engine.embed(model.processor.prompt.question(model.processor.question(QUESTION)))
        model._without_audio([OPTIONS], [question_LD], ChoiceRule())
        np.testing.assert_array_equal(read[0], embeds_LD)


def test_packing_gives_this_prompt(
    model: Mellow, sources: Sequence[Path], clips: Sequence[EncodedClip], expected: Assembled
) -> None:
    """A single clip fills both slots of the published layout."""
    pytest.importorskip("pydantic")
    from mellow.train.packing import EncodedClip as Packable
    from mellow.train.packing import group_examples, pack_epoch
    from mellow.train.recipe import DataRecipe

    prompt = model.processor.prompt
    names = [str(source) for source in sources]
    known = {
        name: Packable(len(clip.audio_KD), clip.encoded.clip_scores_C, clip.encoded.step_scores_TC)
        for name, clip in zip(names, clips, strict=True)
    }
    recipe = DataRecipe(examples="", tokens_per_row=1000, without_audio=0, without_words=0, word_dropout=0)
    groups = group_examples([Example(QUESTION, ANSWER, tuple(names))])
    (row,) = pack_epoch(groups, recipe=recipe, epoch=0, prompt=prompt, tags=model.tags, clip_of=known.__getitem__)
    assert (row.ids, row.labels) == (expected.ids, expected.labels)
    assert row.positions == list(range(len(row.ids)))
    assert row.clips == prompt.slots(names)
    assert spans(row.ids, [known[name].audio for name in row.clips]) == expected.spans


@pytest.mark.usefixtures("with_torch")
def test_transformers_gets_this_prompt(
    directory: Path, sources: Sequence[Path], expected: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MellowProcessor's batch, expanded by the model; audio stands at the spans."""
    import torch

    from mellow.model.checkpoint import load_checkpoint
    from mellow.model.processing import MellowProcessor

    loaded = load_checkpoint(directory)
    seen: list[torch.Tensor] = []
    embed = loaded.embed
    monkeypatch.setattr(loaded, "embed", lambda ids, audio=None: seen.append(ids) or embed(ids, audio))
    batch = MellowProcessor.from_pretrained(directory)(QUESTION, audio=[sources], answers=[ANSWER])
    with torch.inference_mode():
        embeds_BLD, mask_BL, labels_BL = loaded.assemble(**batch)
    assert labels_BL is not None
    assert [x[0].tolist() for x in (seen[0], labels_BL)] == [expected.ids, expected.labels]
    assert mask_BL.tolist() == [[1] * len(expected.ids)]
    assert spans(seen[0][0].tolist(), [len(span) for span in expected.spans]) == expected.spans
    assert embeds_BLD.shape[:2] == (1, len(expected.ids))
