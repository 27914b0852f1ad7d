"""Mellow as a Hugging Face model, with Llama and GPT-2 inside: round trips, generation, batches, losses, gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.generation import BaseStreamer

from mellow.errors import ModelError, QuestionError
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration, left_pad
from mellow.text.prompt import CLIP, IGNORE
from mellow.text.tags import TagSettings

VOCABULARY, WIDTH, CLASSES = 300, 32, 6
SIZES: dict[str, dict[str, Any]] = {
    "llama": {
        "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
    },
    "gpt2": {"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 512},
}  # fmt: skip
TAGS = TagSettings([f"class {c}" for c in range(CLASSES)], [0.0] * CLASSES, [1.0] * CLASSES, count=2, min_score=-9.0)


class Words:
    """A tokenizer of a small vocabulary: every text it is asked for is one token of its own."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return [10 + self.known.setdefault(text, len(self.known))]


WORDS = Words()
QUESTIONS = {
    "no clip": [40, 41, 42],
    "one clip": [50, CLIP, 51, 52, 53, 54, 55, 56],
    "two clips": [60, CLIP, 61, CLIP, 62],
    "a long clip": [70, CLIP, 71],
}
LENGTHS = {"no clip": [], "one clip": [[60]], "two clips": [[48], [200]], "a long clip": [[1001, 1001, 300]]}


def config(kind: str) -> MellowConfig:
    text_config = {**SIZES[kind], "vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2}
    sizes = {"width": 16, "depth": 1, "heads": 2, "classes": CLASSES}
    return MellowConfig(encoder_config=sizes, text_config=text_config, tags=TAGS.to_dict())


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> MellowForConditionalGeneration:
    """Random weights, spread wide enough that greedy answers are not close calls."""
    torch.manual_seed(0)
    model = MellowForConditionalGeneration(config(request.param)).eval()
    model.set_tokenizer(WORDS)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return model


def windows(lengths: list[int]) -> list[torch.Tensor]:
    return [torch.randn(frames, 64, generator=torch.Generator().manual_seed(frames)) for frames in lengths]


def asked(*names: str) -> dict[str, Any]:
    """A batch of questions as the model takes it."""
    input_ids, attention_mask = left_pad([QUESTIONS[name] for name in names])
    features = [windows(lengths) for name in names for lengths in LENGTHS[name]]
    return {"input_ids": input_ids, "attention_mask": attention_mask, "features": features}


def answers(model: MellowForConditionalGeneration, *names: str, **how: Any) -> list[list[int]]:
    ids = model.generate(**asked(*names), **{"max_new_tokens": 12, "do_sample": False, **how})
    return [[int(token) for token in row] for row in ids]


# --- saving ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForCausalLM, MellowForConditionalGeneration])
def test_saved_and_loaded_again_it_is_the_same(
    model: MellowForConditionalGeneration, auto: Any, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = auto.from_pretrained(tmp_path).eval()
    again.set_tokenizer(WORDS)
    assert isinstance(again, MellowForConditionalGeneration)
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert answers(again, "two clips") == answers(model, "two clips")


def test_the_config_comes_back_through_auto_config(tmp_path: Path) -> None:
    config("gpt2").save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(again, MellowConfig)
    assert again.text_config.model_type == "gpt2"
    assert again.model.to_dict() == config("gpt2").model.to_dict()
    ours, theirs = config("gpt2").to_dict(), again.to_dict()
    for remembered in ("transformers_version", "_name_or_path"):  # what transformers notes about the loading itself
        ours.pop(remembered, None), theirs.pop(remembered, None)
    assert theirs == ours


@pytest.mark.parametrize("changes", [{"encoder": "ears"}, {"layout": "loose", "text_config": SIZES["gpt2"]}])
def test_an_impossible_config_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="Unknown"):
        MellowConfig(**changes)


# --- generating -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUESTIONS)
def test_greedy_answers_are_the_likeliest_tokens(model: MellowForConditionalGeneration, name: str) -> None:
    """Against a forward without cache that reads everything anew for each token."""
    (generated,) = answers(model, name)
    batch = asked(name)
    for token in generated:
        with torch.inference_mode():
            logits_BLV = model(**batch).logits
        assert int(logits_BLV[0, -1].argmax()) == token
        batch["input_ids"] = torch.cat([batch["input_ids"], torch.tensor([[token]])], 1)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    assert len(set(generated)) > 1


def test_a_left_padded_batch_answers_as_single_questions_do(model: MellowForConditionalGeneration) -> None:
    together = answers(model, *QUESTIONS)
    assert together == [answers(model, name)[0] for name in QUESTIONS]
    assert together == answers(model, *reversed(QUESTIONS))[::-1]


def test_logits_of_a_left_padded_batch_equal_those_of_single_questions(model: MellowForConditionalGeneration) -> None:
    with torch.inference_mode():
        together_BLV = model(**asked(*QUESTIONS)).logits
        for row_LV, name in zip(together_BLV, QUESTIONS, strict=True):
            alone_LV = model(**asked(name)).logits[0]
            torch.testing.assert_close(row_LV[-len(alone_LV) :], alone_LV, rtol=1e-4, atol=1e-4)


def test_right_padding_is_understood_too(model: MellowForConditionalGeneration) -> None:
    batch = asked("two clips", "no clip")
    right = {
        "input_ids": torch.tensor([QUESTIONS["two clips"], [*QUESTIONS["no clip"], 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "features": batch["features"],
    }
    assert model.generate(**right, max_new_tokens=5).tolist() == model.generate(**batch, max_new_tokens=5).tolist()


def test_beams(model: MellowForConditionalGeneration) -> None:
    """The best beam is at least as likely as the greedy answer, alone and in a batch."""
    beams = answers(model, "one clip", "two clips", num_beams=3, max_new_tokens=4, length_penalty=0.0)
    assert beams[0] == answers(model, "one clip", num_beams=3, max_new_tokens=4, length_penalty=0.0)[0]
    greedy = answers(model, "one clip", max_new_tokens=4)[0]
    assert log_likelihood(model, "one clip", beams[0]) >= log_likelihood(model, "one clip", greedy) - 1e-4


@torch.inference_mode()
def log_likelihood(model: MellowForConditionalGeneration, name: str, answer: list[int]) -> float:
    batch = asked(name)
    batch["input_ids"] = torch.cat([batch["input_ids"], torch.tensor([answer])], 1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    logits_LV = model(**batch).logits[0, -len(answer) - 1 : -1].log_softmax(-1)
    return float(logits_LV[range(len(answer)), answer].sum())


def test_sampling_repeats_with_its_seed_and_varies_without(model: MellowForConditionalGeneration) -> None:
    def draw(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return answers(model, "one clip", do_sample=True, top_p=0.95, temperature=3.0)[0]

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in range(5)}) > 1


class Collected(BaseStreamer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.ended = False

    def put(self, value: torch.Tensor) -> None:
        self.ids += value.flatten().tolist()

    def end(self) -> None:
        self.ended = True


def test_a_streamer_is_told_each_token(model: MellowForConditionalGeneration) -> None:
    streamer = Collected()
    (generated,) = answers(model, "one clip", streamer=streamer)
    assert streamer.ids == generated
    assert streamer.ended


# --- clips ----------------------------------------------------------------------------------------------------------


def test_a_long_clip_is_its_windows_joined_in_time(model: MellowForConditionalGeneration) -> None:
    pieces = windows([1001, 1001, 300])
    with torch.inference_mode():
        audio_KD, tags = model.encode(pieces)
        parts = [model.encode_window(piece) for piece in pieces]
    assert [len(part) for part, _ in parts] == [31, 31, 9]
    torch.testing.assert_close(audio_KD, torch.cat([part for part, _ in parts]))
    assert model.tags is not None
    clip_C = torch.stack([scores.clip_C for _, scores in parts]).amax(0)
    assert tags == model.tags.ids(clip_C.numpy(), torch.cat([scores.step_TC for _, scores in parts]).numpy())


def test_clips_stand_in_the_order_of_their_placeholders(model: MellowForConditionalGeneration) -> None:
    batch = asked("two clips")
    embeds_BLD, mask_BL, _ = model.assemble(batch["input_ids"], None, batch["features"])
    encoded = [model.encode(clip) for clip in batch["features"]]
    table = model.get_input_embeddings()
    expected = [table(torch.tensor([60]))]
    for (audio_KD, tags), token in zip(encoded, (61, 62), strict=True):
        expected += [audio_KD, table(torch.tensor([*tags, token]))]
    torch.testing.assert_close(embeds_BLD[0], torch.cat(expected))
    assert mask_BL.all()


@pytest.mark.parametrize("features", [[], None, [windows([60])] * 2])
def test_another_number_of_clips_than_placeholders_is_an_error(
    model: MellowForConditionalGeneration, features: Any
) -> None:
    ids = torch.tensor([QUESTIONS["one clip"]])
    with pytest.raises(QuestionError, match=f"hold 1 clips, but {len(features or [])} were given"):
        model(input_ids=ids, features=features)
    with pytest.raises(QuestionError, match=f"hold 1 clips, but {len(features or [])} were given"):
        model.generate(ids, features=features or ())


def test_generate_without_ids_is_an_error(model: MellowForConditionalGeneration) -> None:
    with pytest.raises(QuestionError, match="needs input_ids"):
        model.generate()


# --- learning -------------------------------------------------------------------------------------------------------


def labelled(*names: str) -> dict[str, Any]:
    """Answers of two tokens behind the questions, labelled."""
    rows = [[*QUESTIONS[name], 80, 81] for name in names]
    targets = [[*[IGNORE] * len(QUESTIONS[name]), 80, 81] for name in names]
    input_ids, attention_mask = left_pad(rows)
    labels = left_pad(targets, fill=IGNORE)[0]
    return {**asked(*names), "input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def test_the_loss_is_over_labelled_tokens_only(model: MellowForConditionalGeneration) -> None:
    batch = labelled("two clips", "no clip")
    with torch.inference_mode():
        out = model(**batch)
    picked_NV = torch.cat([out.logits[0, -3:-1], out.logits[1, -3:-1]])
    expected = functional.cross_entropy(picked_NV, torch.tensor([80, 81, 80, 81]))
    torch.testing.assert_close(out.loss, expected)


def test_the_loss_of_a_batch_is_that_of_its_questions(model: MellowForConditionalGeneration) -> None:
    with torch.inference_mode():
        alone = [model(**labelled(name)).loss for name in QUESTIONS]
        together = model(**labelled(*QUESTIONS)).loss
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-4, atol=1e-4)


def test_gradients_flow_into_mapper_and_encoder(model: MellowForConditionalGeneration) -> None:
    model.zero_grad()
    model(**labelled("one clip", "two clips")).loss.backward()
    for part in ("mapper", "encoder.patch", "encoder.blocks"):
        named = [(name, p) for name, p in model.named_parameters() if name.startswith(part)]
        assert named
        assert [name for name, p in named if p.grad is None or not p.grad.any()] == []
    model.zero_grad()
