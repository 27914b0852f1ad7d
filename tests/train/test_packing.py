"""Packed rows: each question learns as if it stood alone behind its clip; order, completeness, omissions."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mellow.data.captions.paraphrases import paraphrase, paraphrases
from mellow.events import StepClock
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.text.prompt import AUDIO, CompactPrompt
from mellow.text.tags import AudioTags, TagSettings
from mellow.text.tokenizer import Tokenizer
from mellow.train.dataset import PackedRows, block_mask, collate
from mellow.train.packing import PAD_GROUP, EncodedClip, Group, Row, group_examples, pack_epoch
from mellow.train.recipe import DataRecipe
from mellow.train.run import Learner
from mellow.types import Example

CLASSES, FRAME_WIDTH = 527, 128
CLOCK = StepClock(0.16, 62)
LENGTH = 160
STEPS = {"a": 9, "b": 4, "c": 3, "d": 12}  # encoder steps of each clip; two make an audio token


def arrays_of(clip: str) -> dict[str, np.ndarray]:
    """Made-up encoder outputs of a clip, as the feature cache gives them."""
    rng = np.random.default_rng(ord(clip))
    steps = STEPS[clip]
    shapes = {"frames": (steps, FRAME_WIDTH), "step_scores": (steps, CLASSES), "clip_scores": (CLASSES,)}
    return {name: rng.normal(-1, 2, shape).astype(np.float16) for name, shape in shapes.items()}


def clip_of(clip: str) -> EncodedClip:
    arrays = arrays_of(clip)
    return EncodedClip(-(-STEPS[clip] // 2), arrays["clip_scores"].astype("f4"), arrays["step_scores"].astype("f4"))


class Cache:
    def read(self, clip: str) -> dict[str, np.ndarray]:
        return arrays_of(clip)


def examples() -> list[Example]:
    made = [
        Example(f"What is number {n} of {clip}?", f"It is {clip} {n}" + n * " and more", (clip,))
        for clip in STEPS
        for n in range(4)
    ]
    made += [Example("Which one?", clip, (clip,), ("a", "b", "c", "d")) for clip in STEPS]
    made += [Example("Are they equal?", "no", pair, ("yes", "no")) for pair in (("a", "b"), ("b", "a"), ("c", "c"))]
    made += [Example("Is it alive?", "yes", heard=("dog", "bark"), group="words")]
    return [*made, Example("What is a dog?", "An animal.", group="knowledge")]


def recipe(**settings: Any) -> DataRecipe:
    plain = {"tokens_per_row": LENGTH, "without_audio": 0, "without_words": 0, "word_dropout": 0, **settings}
    return DataRecipe(examples="", **plain)


@pytest.fixture(scope="module")
def tags(tokenizer: Tokenizer) -> AudioTags:
    return make_tags(tokenizer, mean=[-1.0] * CLASSES, std=[2.0] * CLASSES, count=3)


def make_tags(tokenizer: Tokenizer, **settings: Any) -> AudioTags:
    return AudioTags(TagSettings([f"sound {c}" for c in range(CLASSES)], **settings), tokenizer, CLOCK)


@pytest.fixture
def pack(prompt: CompactPrompt, tags: AudioTags) -> Any:
    def pack(
        made: Sequence[Example] | None = None, *, epoch: int = 0, tags: AudioTags | None = tags, **settings: Any
    ) -> list[Row]:
        groups = group_examples(examples() if made is None else made)
        return pack_epoch(groups, recipe=recipe(**settings), epoch=epoch, prompt=prompt, tags=tags, clip_of=clip_of)

    return pack


@dataclass
class Question:
    """One question of a row, taken out again: its prefix, its own tokens, and where its audio tokens are."""

    prefix: list[int]
    block: list[int]
    labels: list[int]
    at: slice  # of the block in the row
    audio: slice  # of the audio tokens among those of the whole row


def questions(row: Row) -> Iterator[Question]:
    start = 0
    for group in range(max(row.groups) + 1):
        inside = [i for i, g in enumerate(row.groups) if g == group]
        prefix = [row.ids[i] for i in inside if row.blocks[i] == 0]
        audio = slice(start, start + prefix.count(AUDIO))
        start = audio.stop
        for block in range(1, max(row.blocks[i] for i in inside) + 1):
            at = [i for i in inside if row.blocks[i] == block]
            assert at == list(range(at[0], at[-1] + 1))
            where = slice(at[0], at[-1] + 1)
            yield Question(prefix, row.ids[where], row.labels[where], where, audio)


# --- as if alone ------------------------------------------------------------------------------------------------------


@pytest.fixture
def learner(tiny_adapted: MellowForConditionalGeneration) -> Learner:
    return Learner(tiny_adapted).eval()


def batches(rows: Sequence[Row]) -> list[dict[str, torch.Tensor]]:
    data = PackedRows(rows, Cache(), frames_per_row=2, clock=CLOCK)  # type: ignore[arg-type]
    return [collate([data[n] for n in range(len(rows))][i : i + 2], length=LENGTH) for i in range(0, len(rows), 2)]


@torch.inference_mode()
def alone(
    model: MellowForConditionalGeneration, question: Question, batch: dict[str, torch.Tensor], before: int
) -> Any:
    """Logits behind a plain causal forward of one question; `before`: audio tokens of earlier rows of the batch."""
    audio = slice(before + question.audio.start, before + question.audio.stop)
    audio_ND = model.mapper.tokens(batch["frames"][audio], batch["scores"][audio]) if audio.stop > audio.start else None
    embeds = model.embed(
        torch.tensor([question.prefix + question.block]), torch.zeros(0, 1) if audio_ND is None else audio_ND
    )
    logits_LV = model.language_model(inputs_embeds=embeds).logits[0]
    answer = [token for token in question.labels if token != -100]
    return logits_LV[-len(answer) - 1 : -1], torch.tensor(answer)


def test_each_question_has_the_logits_and_the_loss_it_has_alone(pack: Any, learner: Learner) -> None:
    rows = pack()
    assert max(row.questions for row in rows) > 3
    assert max(max(row.groups) for row in rows) > 0
    seen: list[torch.Tensor] = []
    head = learner.mellow.language_model.get_base_model().lm_head
    head.register_forward_hook(lambda _, inputs, logits: seen.append(logits))
    for number, batch in enumerate(batches(rows)):
        seen.clear()
        with torch.inference_mode():
            learner(**batch)
        packed_NV = seen[0]
        found = 0
        for b, row in enumerate(rows[2 * number : 2 * number + 2]):
            before = sum(other.ids.count(AUDIO) for other in rows[2 * number : 2 * number + b])
            for question in questions(row):
                logits_NV, answer = alone(learner.mellow, question, batch, before)
                torch.testing.assert_close(packed_NV[found : found + len(answer)], logits_NV, rtol=1e-4, atol=1e-4)
                found += len(answer)
                weights = torch.zeros_like(batch["weights"])
                weights[b, question.at] = batch["weights"][b, question.at]
                with torch.inference_mode():
                    loss = learner(**{**batch, "weights": weights})["loss"]
                torch.testing.assert_close(loss, functional.cross_entropy(logits_NV, answer), rtol=1e-4, atol=1e-4)
        assert found == len(packed_NV)


def test_what_a_question_is_asked_beside_does_not_change_it(pack: Any, learner: Learner) -> None:
    """Other neighbours in the row, other places in it, another padding: the same loss."""
    rows = pack()
    one = next(row for row in rows if row.questions > 3)
    cut = next(questions(one)).at.stop
    fields = {name: getattr(one, name)[:cut] for name in ("ids", "groups", "blocks", "positions", "labels", "weights")}
    first = Row(**fields, clips=one.clips[:1] if AUDIO in one.ids[:cut] else [], questions=1)
    data = PackedRows([one, first], Cache(), frames_per_row=2, clock=CLOCK)  # type: ignore[arg-type]
    whole, short = collate([data[0]], length=LENGTH), collate([data[1]], length=cut)
    whole["weights"][:, cut:] = 0
    with torch.inference_mode():
        torch.testing.assert_close(learner(**whole)["loss"], learner(**short)["loss"], rtol=1e-4, atol=1e-4)


def test_gradients_reach_adapters_and_mapper_and_nothing_else(pack: Any, learner: Learner) -> None:
    learner(**batches(pack())[0])["loss"].backward()
    for name, parameter in learner.named_parameters():
        learns = "lora_" in name or ".mapper." in name
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learns, name


# --- masks and positions ----------------------------------------------------------------------------------------------


def test_block_mask_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, 4, (2, 30)), axis=1)
    groups[:, 25:] = PAD_GROUP
    blocks = rng.integers(0, 4, (2, 30))
    mask = block_mask(torch.from_numpy(groups), torch.from_numpy(blocks))
    assert mask.shape == (2, 1, 30, 30)
    for b, i, j in itertools.product(range(2), range(30), range(30)):
        seen = j <= i and groups[b, i] == groups[b, j] and blocks[b, j] in (0, blocks[b, i])
        assert bool(mask[b, 0, i, j]) == seen


def test_positions_restart_with_each_group_and_each_question_goes_on_behind_its_clip(pack: Any) -> None:
    for row in pack():
        for group in range(max(row.groups) + 1):
            prefix = [i for i, g in enumerate(row.groups) if g == group and row.blocks[i] == 0]
            assert [row.positions[i] for i in prefix] == list(range(len(prefix)))
        for question in questions(row):
            start = len(question.prefix)
            assert row.positions[question.at] == list(range(start, start + len(question.block)))


def test_only_answers_are_learnt_long_ones_weighing_more_but_not_by_their_length(
    pack: Any, prompt: CompactPrompt
) -> None:
    for row in pack():
        for question in questions(row):
            answer = [token for token in question.labels if token != -100]
            assert answer[-1] == prompt.stop_ids[0]
            assert question.block[-len(answer) :] == answer
            weights = row.weights[question.at]
            assert sum(weights) == pytest.approx(len(answer) ** 0.5)
            assert all((weight > 0) == (label != -100) for weight, label in zip(weights, question.labels, strict=True))


def test_collated_audio_tokens_stand_in_the_order_of_their_places(pack: Any) -> None:
    rows = pack()
    for number, batch in enumerate(batches(rows)):
        clips = [clip for row in rows[2 * number : 2 * number + 2] for clip in row.clips]
        assert int((batch["ids"] == AUDIO).sum()) == len(batch["frames"]) == len(batch["scores"])
        expected = [np.float32(arrays_of(clip)["frames"][:2]).mean(0) for clip in clips]
        starts = np.cumsum([0, *(clip_of(clip).audio for clip in clips[:-1])])
        np.testing.assert_allclose(batch["frames"][starts], expected, rtol=1e-5)
        assert 0 <= float(batch["scores"].min()) <= float(batch["scores"].max()) <= 1


# --- completeness and order -------------------------------------------------------------------------------------------


def asked(rows: Sequence[Row], prompt: CompactPrompt) -> Counter[tuple[str, str]]:
    """Questions and answers of rows, in words."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for question in questions(row):
            cut = next(i for i, label in enumerate(question.labels) if label != -100)
            text = prompt.tokenizer.decode(question.block[:cut]).removesuffix("\nassistant\n")
            found[text, prompt.tokenizer.decode(question.block[cut:])] += 1
    return found


@pytest.mark.parametrize("length", [160, 200, 500])
@pytest.mark.parametrize("epoch", [0, 1])
def test_nothing_is_lost_and_no_row_is_too_long(pack: Any, prompt: CompactPrompt, length: int, epoch: int) -> None:
    rows = pack(tokens_per_row=length, questions_per_group=100, epoch=epoch)
    assert asked(rows, prompt) == Counter((example.question, example.answer) for example in examples())
    assert max(len(row.ids) for row in rows) <= length
    assert all(len({len(row.ids), len(row.groups), len(row.blocks), len(row.positions), len(row.labels), len(row.weights)}) == 1 for row in rows)  # fmt: skip  # noqa: E501


def test_questions_that_fit_into_no_row_are_left_out_alone_and_counted(
    pack: Any, prompt: CompactPrompt, caplog: pytest.LogCaptureFixture
) -> None:
    made = examples()
    endless = [Example("What? " * LENGTH, "no", ("a",)), Example("What?", "no " * LENGTH, ("c", "a"))]
    rows = pack([*made[:2], *endless, *made[2:]], questions_per_group=100)
    assert asked(rows, prompt) == Counter((example.question, example.answer) for example in made)
    assert caplog.messages == [f"2 questions are too long for {LENGTH} tokens_per_row and are left out"]
    assert pack(endless) == []


def test_at_most_so_many_questions_of_a_group_per_epoch_and_others_the_next_time(
    pack: Any, prompt: CompactPrompt
) -> None:
    made = [Example(f"What is {n}?", f"{n}", ("a",)) for n in range(12)]
    chosen = [asked(pack(made, epoch=epoch, questions_per_group=3), prompt) for epoch in range(4)]
    assert all(epoch.total() == 3 for epoch in chosen)
    assert len(set().union(*chosen)) > 3


def test_the_order_is_a_function_of_seed_and_epoch_alone(pack: Any) -> None:
    first = pack(seed=3, epoch=2)
    np.random.seed(0)
    torch.manual_seed(0)
    assert pack(seed=3, epoch=2) == first
    assert pack(seed=3, epoch=1) != first
    assert pack(seed=4, epoch=2) != first


def test_examples_about_the_same_clips_come_together_in_their_order() -> None:
    groups = group_examples(examples())
    assert [group.audio for group in groups[:4]] == [("a",), ("b",), ("c",), ("d",)]
    assert {group.audio for group in groups} == {("a",), ("b",), ("c",), ("d",), ("a", "b"), ("b", "a"), ("c", "c"), ()}
    assert isinstance(groups[0], Group)
    assert len(groups[0].examples) == 5
    assert [group.heard for group in groups if not group.audio] == [("dog", "bark"), ()]
    assert sum(len(group.examples) for group in groups) == len(examples())


# --- special inputs ---------------------------------------------------------------------------------------------------

SPECIAL = "explain the difference in few words"


def difference(n: int) -> Example:
    return Example(SPECIAL, f"It is difference {n}.", ("a", "b"))


def wording(rows: Sequence[Row], prompt: CompactPrompt) -> dict[str, str]:
    """The question of each answer."""
    return {answer.strip(): question for question, answer in asked(rows, prompt)}


def test_special_inputs_become_paraphrases_and_other_questions_stay(pack: Any, prompt: CompactPrompt) -> None:
    made = [*(difference(n) for n in range(20)), Example("Which one?", "a", ("a",), ("a", "b"))]
    found = wording(pack(made, questions_per_group=100, tokens_per_row=500), prompt)
    asked_for = {question for answer, question in found.items() if answer.startswith("It is difference")}
    assert asked_for <= set(paraphrases()[SPECIAL])
    assert len(asked_for) > 10
    assert {question for answer, question in found.items() if not answer.startswith("It is")} == {"Which one?"}


def test_a_paraphrase_is_drawn_by_seed_epoch_and_place_alone(pack: Any, prompt: CompactPrompt) -> None:
    """Whatever is packed beside it or before it: a run that goes on asks as the run that did not stop."""
    made = [difference(n) for n in range(12)]
    settings = {"questions_per_group": 100, "tokens_per_row": 500, "seed": 5}
    first = wording(pack(made, epoch=3, **settings), prompt)
    expected = {e.answer: paraphrase(SPECIAL, seed=5, epoch=3, row=row) for row, e in enumerate(made)}
    assert {answer: first[answer] for answer in expected} == expected
    assert wording(pack(made, epoch=3, **settings), prompt) == first
    fewer = wording(pack(made, epoch=3, **{**settings, "questions_per_group": 3, "tokens_per_row": 160}), prompt)
    assert len(fewer) == 3
    assert fewer.items() <= first.items()
    more = wording(pack([*made, *(Example("Which?", f"{c}", (c,)) for c in "cd")], epoch=3, **settings), prompt)
    assert first.items() <= more.items()


def test_every_epoch_and_seed_words_it_anew(pack: Any, prompt: CompactPrompt) -> None:
    made = [difference(n) for n in range(8)]
    epochs = [
        wording(pack(made, epoch=epoch, questions_per_group=100, tokens_per_row=500), prompt) for epoch in range(5)
    ]
    for example in made:
        assert len({found[example.answer] for found in epochs}) == 5
    other = wording(pack(made, epoch=0, seed=9, questions_per_group=100, tokens_per_row=500), prompt)
    assert other != epochs[0]


# --- words ------------------------------------------------------------------------------------------------------------


def prefixes(rows: Sequence[Row], prompt: CompactPrompt) -> list[str]:
    """What stands before the questions, in words, with the number of audio tokens."""
    texts = []
    for row in rows:
        for question in questions(row):
            words = prompt.tokenizer.decode([token for token in question.prefix if token >= 0])
            texts.append(words.replace("Audio:", f"Audio: {question.prefix.count(AUDIO)}"))
    return texts


def test_what_stands_before_the_questions(pack: Any, prompt: CompactPrompt, tags: AudioTags) -> None:
    made = [Example("What?", "a", ("a",))]
    (text,) = prefixes(pack(made), prompt)
    words = prompt.tokenizer.decode(tags.ids(clip_of("a").clip_scores_C, clip_of("a").step_scores_TC))
    assert text == f"user\nAudio: 5{words}\n"
    assert prefixes(pack(made, without_words=1), prompt) == ["user\nAudio: 5\n"]
    assert prefixes(pack(made, tags=None), prompt) == ["user\nAudio: 5\n"]
    assert prefixes(pack(made, word_dropout=1), prompt)[0].startswith("user\nAudio: 5 Heard: nothing.")


def test_words_without_audio(pack: Any, prompt: CompactPrompt) -> None:
    made = [Example("Alive?", "yes", heard=("dog", "bark")), Example("What is a dog?", "An animal.")]
    assert sorted(prefixes(pack(made), prompt)) == ["user\n", "user\nAudio: 0 Heard: dog, bark.\n"]


def test_choices_may_lose_their_clip(pack: Any, prompt: CompactPrompt) -> None:
    rows = pack([Example("Which?", "a", ("a",), ("a", "b")), Example("Alive?", "yes", heard=("dog",))], without_audio=1)
    assert sorted(prefixes(rows, prompt)) == ["user\n", "user\nAudio: 0 Heard: dog.\n"]
    assert [row.clips for row in rows] == [[]]
    assert len(batches(rows)[0]["frames"]) == 0


def test_muted_classes_are_never_named(pack: Any, prompt: CompactPrompt, tokenizer: Tokenizer) -> None:
    """With every class sure, all that are not muted would be named."""
    loudest = {int(c) for clip in STEPS for c in np.argsort(-clip_of(clip).clip_scores_C)[:20]}
    strongest = make_tags(tokenizer, mean=[0.0] * CLASSES, std=[1.0] * CLASSES, min_score=-99.0, count=40)
    muted = make_tags(
        tokenizer, mean=[0.0] * CLASSES, std=[1.0] * CLASSES, min_score=-99.0, count=40, muted=sorted(loudest)
    )

    def named(tags: AudioTags) -> set[int]:
        text = " ".join(prefixes(pack(tags=tags, tokens_per_row=1000, word_dropout=0.1), prompt))
        return {c for c in loudest if f"sound {c}," in text or f"sound {c}." in text or f"sound {c} |" in text}

    assert len(named(strongest)) > 40
    assert named(muted) == set()
