"""The processor for torch users: the prompts of asking, batches with labels, round trips, and the page of the docs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor

import mellow
from mellow.answer.decode import DecodingOptions
from mellow.answer.facade import Mellow
from mellow.errors import QuestionError
from mellow.model.checkpoint import load_checkpoint
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.processing import MellowProcessor
from mellow.text.prompt import CLIP, IGNORE, ClipTokens
from mellow.types import Answer

Tone = Callable[..., Path]
Pair = tuple[MellowForConditionalGeneration, MellowProcessor]
ANSWERS = ["A dog barks.", "It is a siren, far away.", "No."]
QUESTIONS = ["What is it?", "Which of the two is the louder one, and why?", "Is there any sound?"]


@pytest.fixture(scope="module", params=["compact", "published"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """A model of each layout, and its processor."""
    name = {"compact": "tiny_model_dir", "published": "published_dir"}[request.param]
    directory: Path = request.getfixturevalue(name)
    return load_checkpoint(directory), MellowProcessor.from_pretrained(directory)


@pytest.fixture
def clips(tone: Tone, pair: Pair) -> list[list[Path]]:
    """One clip, two clips, and none, which only the compact layout knows."""
    found = [[tone(440, 2.0)], [tone(900, 10.0), tone(300, 1.0)]]
    return [*found, []] if pair[1].config.layout == "compact" else found


def test_a_batch_is_what_the_prompt_assembles(pair: Pair, clips: list[list[Path]]) -> None:
    """Ids, labels and audio in their places, as asking and training have them; rows padded on the left."""
    model, processor = pair
    questions, answers = QUESTIONS[: len(clips)], ANSWERS[: len(clips)]
    batch = processor(questions, audio=clips, answers=answers)
    embeds_BLD, mask_BL, labels_BL = model.assemble(
        batch["input_ids"], batch["attention_mask"], batch["features"], batch["labels"]
    )
    assert labels_BL is not None
    prompt = processor.processor.prompt
    for row, (sources, question, answer) in enumerate(zip(clips, questions, answers, strict=True)):
        views = [next(iter(processor.processor.views(processor.processor.clip(source)))) for source in sources]
        encoded = [model.encode([torch.from_numpy(mel_FM) for mel_FM in view.windows]) for view in views]
        tokens = [ClipTokens(len(audio_KD), tags) for audio_KD, tags in encoded]
        wanted = prompt.assemble(tokens, question, answer)
        kept = mask_BL[row].bool()
        assert int(kept.sum()) == len(wanted.ids) and kept[-len(wanted.ids) :].all()
        assert labels_BL[row][kept].tolist() == wanted.labels
        audio_ND = torch.cat([audio_KD for audio_KD, _ in prompt.slots(encoded)]) if encoded else None
        expected = model.embed(torch.tensor([wanted.ids]), audio_ND)[0]
        torch.testing.assert_close(embeds_BLD[row][kept], expected, atol=1e-5, rtol=0)
        learnt = [token for token in wanted.labels if token != IGNORE]
        assert processor.decode(learnt) == answer


def test_labels_are_there_with_answers_only(pair: Pair, clips: list[list[Path]]) -> None:
    model, processor = pair
    without = processor(QUESTIONS[0], audio=clips[:1])
    assert set(without) == {"input_ids", "attention_mask", "features"}
    batch = processor([QUESTIONS[0]], audio=clips[:1], answers=ANSWERS[:1])
    length = without["input_ids"].shape[1]
    assert torch.equal(batch["input_ids"][:, :length], without["input_ids"])
    assert (batch["labels"][:, :length] == IGNORE).all() and (batch["labels"][:, length:] != IGNORE).all()
    model.mapper.requires_grad_(True)
    loss = model(**batch).loss
    loss.backward()
    assert torch.isfinite(loss) and all(p.grad is not None for p in model.mapper.parameters())
    model.zero_grad()
    model.requires_grad_(False)


def test_generated_answers_are_those_of_the_facade(tone: Tone, published: Mellow, published_dir: Path) -> None:
    model, processor = load_checkpoint(published_dir), MellowProcessor.from_pretrained(published_dir)
    batch = processor(QUESTIONS[:2], audio=[[tone(440, 2.0)], [tone(900, 10.0), tone(300, 1.0)]])
    ids = model.generate(**batch, max_new_tokens=6, do_sample=False)
    few = DecodingOptions(max_new_tokens=6)
    found: list[Answer] = [
        published.ask(tone(440, 2.0), QUESTIONS[0], decoding=few),
        published.ask(tone(900, 10.0), QUESTIONS[1], audio2=tone(300, 1.0), decoding=few),
    ]
    assert processor.batch_decode(ids) == [answer.text for answer in found]


def test_saved_and_read_again_it_is_the_same(pair: Pair, clips: list[list[Path]], tmp_path: Path) -> None:
    processor = pair[1]
    written = processor.save_pretrained(tmp_path)
    assert sorted(written) == sorted(str(path) for path in tmp_path.iterdir())
    expected = processor(QUESTIONS[: len(clips)], audio=clips, answers=ANSWERS[: len(clips)])
    for again in (MellowProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        batch = again(QUESTIONS[: len(clips)], audio=clips, answers=ANSWERS[: len(clips)])
        for name in ("input_ids", "attention_mask", "labels"):
            assert torch.equal(batch[name], expected[name])
        for one, other in zip(batch["features"], expected["features"], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_saved_model_is_a_full_checkpoint(pair: Pair, tone: Tone, tmp_path: Path) -> None:
    """Whatever it was read from: adapters are merged, and nothing is said of the old files."""
    model, processor = pair
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    answers = [
        mellow.load(tmp_path, engine=engine).ask(tone(440, 2.0), "Which?", choices=["a dog", "rain", "a siren"])
        for engine in ("onnx", "torch")
    ]
    assert answers[0].probabilities == pytest.approx(answers[1].probabilities, abs=1e-4)
    batch = processor(QUESTIONS[0], audio=[[tone(440, 2.0)]])
    torch.testing.assert_close(load_checkpoint(tmp_path)(**batch).logits, model(**batch).logits)


def test_beside_a_model_its_config_is_left_alone(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    pair[1].save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"


def test_what_does_not_fit_together(pair: Pair, clips: list[list[Path]], tone: Tone) -> None:
    processor = pair[1]
    with pytest.raises(QuestionError, match="clips for 1 questions, but 2 in all"):
        processor(QUESTIONS[:2], audio=clips[:1])
    with pytest.raises(QuestionError, match="answers for 2 questions, but 1 in all"):
        processor(QUESTIONS[:1], audio=clips[:1], answers=ANSWERS[:2])
    with pytest.raises(QuestionError, match="45 s long"):
        processor(QUESTIONS[0], audio=[[tone(300, 45.0)]])
    assert CLIP not in processor(QUESTIONS[0], audio=clips[:1])["input_ids"][:, -5:]


def test_the_page_of_the_docs_runs(
    root: Path, published_dir: Path, tone: Tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code, with the tiny model in place of v0; the result answers through the graphs."""
    (code,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "fine-tuning.md").read_text(), re.S)
    shutil.copytree(published_dir, tmp_path / "my-v0")
    for name, hertz in (("dog", 400), ("rain", 3000)):
        shutil.copyfile(tone(hertz, 2.0), tmp_path / f"{name}.wav")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/fine-tuning.md", "exec"), {"__name__": "page"})
    before, after = (load_checkpoint(tmp_path / name).state_dict() for name in ("my-v0", "tuned"))
    changed = {name.partition(".")[0] for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {"mapper", "language_model"}
    answer = mellow.load(tmp_path / "tuned").ask("dog.wav", "What is it?", decoding=DecodingOptions(max_new_tokens=4))
    assert answer.stop_reason == "length" or answer.text
