"""Whole training runs of a few steps: they learn, stop and go on bit for bit, and survive bad losses and signals."""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

import mellow
from mellow.answer.encode import encode_clip
from mellow.checkpoints.int8 import unpack
from mellow.data.scenes import phrases
from mellow.errors import ModelError, RecipeError
from mellow.processor import Processor
from mellow.text.tokenizer import Tokenizer
from mellow.train import run
from mellow.train.initial import class_names, initial_model, muted_classes
from mellow.train.prepare import prepare
from mellow.train.recipe import Recipe
from mellow.train.run import COMPLETE, Learner, newest_checkpoint, step_of, train

pytestmark = pytest.mark.slow

Job = Callable[..., Recipe]
Forward = Callable[..., dict[str, torch.Tensor]]
State = dict[str, torch.Tensor]

FORWARD: Forward = Learner.forward


def entries(recipe: Recipe) -> list[dict[str, Any]]:
    """The log of a run, without its last entry, the summary."""
    lines = (Path(recipe.run.output) / "log.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "loss" in entry]


def checkpoint(recipe: Recipe, step: int) -> Path:
    return Path(recipe.run.output) / f"checkpoint-{step}"


def learnt(recipe: Recipe, step: int) -> tuple[State, Any, Any]:
    """What a checkpoint holds: weights, the optimiser's state, and the schedule's."""
    folder = checkpoint(recipe, step)
    names = ("trained.pt", "optimizer.pt", "scheduler.pt")
    weights, optimizer, schedule = (torch.load(folder / name, weights_only=True) for name in names)
    return weights, optimizer, schedule


def assert_same(one: Any, other: Any) -> None:
    """Bit for bit, through dicts and lists."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


def trained(learner: Learner) -> State:
    return {name: p.detach().clone() for name, p in learner.named_parameters() if p.requires_grad}


class Spoilt:
    """The learner's forward, with the loss changed at some calls; keeps the weights as they were at each call."""

    def __init__(self, changes: dict[int, Callable[[torch.Tensor], torch.Tensor]]) -> None:
        self.changes = changes
        self.before: list[State] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Spoilt:
        @functools.wraps(FORWARD)
        def forward(learner: Learner, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
            self.before.append(trained(learner))
            loss = FORWARD(learner, **batch)["loss"]
            return {"loss": self.changes.get(len(self.before), torch.Tensor.clone)(loss)}

        monkeypatch.setattr(Learner, "forward", forward)
        return self


def times_nan(loss: torch.Tensor) -> torch.Tensor:
    return loss * float("nan")


def steep(loss: torch.Tensor) -> torch.Tensor:
    """The same loss with an infinite gradient."""
    return loss + torch.sqrt(loss - loss.detach())


# --- learning ---------------------------------------------------------------------------------------------------------


def test_a_run_lowers_the_loss_and_leaves_a_model_that_answers(job: Job, tone: Any) -> None:
    recipe = job(run={"steps": 20}, optimizer={"learning_rate": 3e-2, "mapper_learning_rate": 3e-2})
    model = mellow.load(str(train(recipe)))
    losses = [float(entry["loss"]) for entry in entries(recipe)]
    assert len(losses) == 20
    assert sum(losses[-4:]) / 4 < sum(losses[:4]) / 4 - 2
    answer = model.ask(tone(200, 1.5), "Which?", choices=("low", "high"))
    assert answer.choice in ("low", "high")


@pytest.mark.parametrize("bfloat16", [False, True])
def test_only_adapters_and_mapper_change(job: Job, bfloat16: bool) -> None:
    recipe = job(run={"steps": 2, "bfloat16": bfloat16})
    torch.manual_seed(recipe.run.seed)  # of the encoder, which is random here
    untrained = initial_model(recipe.model).state_dict()
    folder = train(recipe)
    assert all(torch.isfinite(tensor).all() for tensor in learnt(recipe, 2)[0].values())
    model = mellow.load(str(folder), engine="torch").engine.model  # type: ignore[attr-defined]
    for name, tensor in model.state_dict().items():
        if name.startswith("encoder."):  # in int8 steps
            torch.testing.assert_close(tensor, untrained[name], atol=0.01, rtol=0)
        elif name.startswith("mapper.linear2"):  # began at zero
            assert tensor.any()
        elif "norm" in name and name.startswith("language_model."):
            assert torch.equal(tensor, untrained[name])
        elif "_proj" in name:
            assert not torch.equal(tensor, untrained[name])


def test_classes_that_are_held_out_are_muted_in_training_and_named_by_the_model(
    job: Job, processor: Processor, tokenizer: Tokenizer
) -> None:
    recipe = job(run={"steps": 1}, data={"without_words": 0, "word_dropout": 0})
    rows, tags = prepare(recipe, initial_model(recipe.model), processor)
    assert tags is not None
    assert len(muted_classes()) == len([key for key in phrases.HELD_OUT if phrases.sounds()[key].index is not None]) > 5
    assert list(tags.settings.muted) == muted_classes()
    spoken = [tokenizer.decode([token for token in row.ids if token >= 0]) for row in rows.rows]
    assert sum("Heard:" in text for text in spoken) > len(spoken) / 2
    names = [f" {class_names()[c]}{mark}" for c in muted_classes() for mark in (",", ".", " |")]
    assert not [name for name in names for text in spoken if name in text]
    assert mellow.load(str(train(recipe)), engine="torch").engine.model.config.tags["muted"] == []  # type: ignore[attr-defined]


def test_a_run_starts_from_another_models_parts(job: Job, tone: Any) -> None:
    """All that was trained before is there at the start, in the int8 steps it was saved in; encoder and words stay."""
    first = train(job("first", run={"steps": 3}))
    second = job("second", run={"steps": 1}, optimizer={"learning_rate": 1e-9, "mapper_learning_rate": 1e-9})
    second = second.model_copy(update={"model": second.model.model_copy(update={"start": str(first)})})
    again = train(second)
    one, other = (unpack(load_file(folder / "trained.safetensors")) for folder in (first, again))
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, atol=np.abs(array).max() / 100)
    assert (
        mellow.load(str(again), engine="torch").engine.model.config.tags
        == mellow.load(str(first), engine="torch").engine.model.config.tags
    )  # type: ignore[attr-defined]


@pytest.fixture
def scenes(examples: Path, tmp_path: Path) -> dict[str, str]:
    """The examples with a scenes.jsonl that tells the truth about their clips."""
    events = {
        name: {"sound": sound, "recording": f"{name}.wav", "onset_s": 0.0, "duration_s": 1.5, "repeats": 1}
        | {"level_db": -20.0, "pitch_hz": 500.0}
        for name, sound in (("low", "dog"), ("middle", "rain"), ("high", "siren"), ("higher", "siren"))
    }
    lines = [
        {"name": name, "seconds": 1.5, "seed": 1, "split": "train", "events": [event], "audio": f"audio/{name}.flac"}
        for name, event in events.items()
    ]
    folder = tmp_path / "data"
    (folder / "audio").mkdir(parents=True)
    for name in events:
        waveform_S, rate = soundfile.read(examples.parent / "audio" / f"{name}.wav")
        soundfile.write(folder / "audio" / f"{name}.flac", waveform_S, rate)
    rows = examples.read_text().replace(".wav", ".flac")
    (folder / "train.jsonl").write_text(rows)
    (folder / "scenes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"examples": str(folder / "train.jsonl"), "scenes": str(folder / "scenes.jsonl")}


def test_going_on_without_scenes_keeps_the_event_head_as_it_is(
    job: Job, examples: Path, tmp_path: Path, scenes: dict[str, str]
) -> None:
    """Its width is its own, whatever the recipe says; without words it goes, as its sounds have no names."""
    first = job("first", data=scenes, run={"steps": 1})
    first = first.model_copy(update={"model": first.model.model_copy(update={"event_width": 64})})
    made = train(first)
    for name, words, expected in (("on", 10, {"width": 64, "sounds": 3}), ("mute", 0, {})):
        second = job(name, run={"steps": 1})
        model = second.model.model_copy(update={"start": str(made), "heard_words": words})
        again = train(second.model_copy(update={"model": model}))
        assert mellow.load(again, engine="torch").engine.model.config.events == expected  # type: ignore[attr-defined]


def test_a_start_that_does_not_fit_is_an_error(job: Job, tmp_path: Path) -> None:
    first = train(job("first", run={"steps": 1}))
    wider = job("wider")
    wider = wider.model_copy(update={"model": wider.model.model_copy(update={"start": str(first), "adapter_rank": 5})})
    with pytest.raises(RecipeError, match=r"cannot be resumed from: its adapter is another"):
        train(wider)
    nowhere = wider.model_copy(update={"model": wider.model.model_copy(update={"start": str(tmp_path / "none")})})
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        train(nowhere)


def test_a_run_on_scenes_leaves_a_model_with_an_event_head(job: Job, scenes: dict[str, str], tone: Any) -> None:
    """The truth lies in scenes.jsonl; the model then writes what is likely, and when, behind its classes."""
    made = train(job(data=scenes, run={"steps": 1}))
    model = mellow.load(str(made), engine="torch")
    config = model.engine.model.config  # type: ignore[attr-defined]
    assert config.events == {"width": 256, "sounds": 3}
    windows = model.processor.features(model.processor.clip(tone(200, 1.5)))
    encoded = encode_clip(model.engine, windows, model.tags)
    assert "Events:" in model.processor.prompt.tokenizer.decode(encoded.tags)
    assert model.ask(tone(200, 1.5), "Which?", choices=("low", "high")).choice in ("low", "high")


def test_a_finished_run_is_not_trained_further(job: Job) -> None:
    recipe = job(run={"steps": 2})
    first = (train(recipe) / "trained.safetensors").read_bytes()
    assert (train(recipe) / "trained.safetensors").read_bytes() == first
    assert len(entries(recipe)) == 2


def test_another_seed_is_another_run(job: Job) -> None:
    one, same, other = (job(str(n), run={"steps": 2}, data={"seed": seed}) for n, seed in enumerate((1, 1, 2)))
    for recipe in (one, same, other):
        train(recipe)
    assert_same(learnt(one, 2), learnt(same, 2))
    assert [entry["loss"] for entry in entries(one)] != [entry["loss"] for entry in entries(other)]


# --- stopping and going on --------------------------------------------------------------------------------------------


@pytest.fixture
def whole(job: Job) -> Recipe:
    """A run of five steps without a stop."""
    recipe = job("whole")
    train(recipe)
    return recipe


def test_stops_by_time_and_goes_on_bit_for_bit(job: Job, whole: Recipe, caplog: pytest.LogCaptureFixture) -> None:
    """Two stops after one step each, in the middle of the epochs."""
    recipe = job("stopped")
    with caplog.at_level(logging.WARNING):
        train(recipe, minutes=0)
        assert "stopped at step 1 of 5; run the same command to go on" in caplog.text
    train(recipe, minutes=0)
    assert newest_checkpoint(Path(recipe.run.output)) == checkpoint(recipe, 2)
    folder = train(recipe)
    assert_same(learnt(recipe, 5), learnt(whole, 5))
    assert [entry["loss"] for entry in entries(recipe)] == [entry["loss"] for entry in entries(whole)]
    for name, tensor in load_file(str(folder / "trained.safetensors")).items():
        assert (tensor == load_file(f"{whole.run.output}/model/trained.safetensors")[name]).all()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_and_the_run_goes_on_bit_for_bit(
    job: Job, whole: Recipe, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = job("stopped")
    calls: Iterator[int] = iter(range(1, 99))

    @functools.wraps(FORWARD)
    def forward(learner: Learner, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
        if next(calls) == 3:
            signal.raise_signal(number)
        return FORWARD(learner, **batch)

    monkeypatch.setattr(Learner, "forward", forward)
    before = [signal.getsignal(either) for either in (signal.SIGTERM, signal.SIGINT)]
    train(recipe)
    assert newest_checkpoint(Path(recipe.run.output)) == checkpoint(recipe, 3)
    assert [signal.getsignal(either) for either in (signal.SIGTERM, signal.SIGINT)] == before
    train(recipe)
    assert_same(learnt(recipe, 5), learnt(whole, 5))


def test_a_second_signal_is_no_longer_caught() -> None:
    stopper = run.Stopper(None)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    stopper.on_train_begin(None, None, None)  # type: ignore[arg-type]
    try:
        signal.raise_signal(signal.SIGINT)
        assert stopper.asked
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    finally:
        stopper.close()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_outside_the_main_thread_no_signal_is_caught() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopper = run.Stopper(None)
    errors: list[BaseException] = []

    def begin() -> None:
        try:
            stopper.on_train_begin(None, None, None)  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert errors == []
    assert signal.getsignal(signal.SIGTERM) == before


SCRIPT = """
import sys, torch
from mellow.train.recipe import read_recipe
from mellow.train.run import train
torch.set_num_threads(2)
train(read_recipe(sys.argv[1]))
"""


def test_sigterm_leaves_a_checkpoint_from_which_the_run_goes_on(job: Job, tmp_path: Path, root: Path) -> None:
    """A process of its own, told to end once it has logged its first step; then the same steps without a stop."""
    recipe = job("killed", run={"steps": 10_000})
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe.model_dump()))  # JSON is YAML
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "recipe.yaml")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("'loss'" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 0
    found = newest_checkpoint(Path(recipe.run.output))
    assert found is not None
    step = step_of(found)
    whole = job("whole", run={"steps": 10_000})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run.Stopper, "on_step_end", stop_at(step))
        train(whole)
    assert_same(learnt(recipe, step), learnt(whole, step))


def stop_at(step: int) -> Callable[..., None]:
    def on_step_end(_: object, args: object, state: Any, control: Any, **__: object) -> None:
        if state.global_step >= step:
            control.should_save = control.should_training_stop = True

    return on_step_end


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_was_not_written_to_its_end_is_never_used(job: Job, whole: Recipe) -> None:
    recipe = job("killed", run={"save_steps": 1})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run.Stopper, "on_step_end", stop_at(4))
        train(recipe)
    output = Path(recipe.run.output)
    (checkpoint(recipe, 4) / COMPLETE).unlink()
    (checkpoint(recipe, 4) / "trained.pt").write_bytes(b"half")
    assert newest_checkpoint(output) == checkpoint(recipe, 3)
    train(recipe)
    assert_same(learnt(recipe, 5), learnt(whole, 5))


def test_the_newest_checkpoint_is_that_of_the_last_step(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for step in (9, 100, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / COMPLETE).touch()
    (tmp_path / "checkpoint-300").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


def test_killed_while_saving_a_checkpoint_the_one_before_is_left(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = job("killed", run={"save_steps": 2})
    saves: Iterator[int] = iter(range(1, 9))
    save = run.MellowTrainer._save

    def dying(trainer: run.MellowTrainer, output_dir: str | None = None, state_dict: Any = None) -> None:
        save(trainer, output_dir, state_dict)
        if next(saves) == 2:
            raise SystemExit

    monkeypatch.setattr(run.MellowTrainer, "_save", dying)
    with pytest.raises(SystemExit):
        train(recipe)
    assert checkpoint(recipe, 4).is_dir()
    assert newest_checkpoint(Path(recipe.run.output)) == checkpoint(recipe, 2)


def test_a_checkpoint_of_another_model_is_an_error(job: Job) -> None:
    recipe = job(run={"steps": 1})
    train(recipe)
    wider = recipe.model.model_copy(update={"adapter_rank": 5})
    with pytest.raises(RecipeError, match=r"checkpoint-1 is of another model; name another run\.output"):
        train(recipe.model_copy(update={"model": wider}))


# --- bad losses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [times_nan, steep])
def test_a_loss_that_is_not_finite_changes_nothing_and_is_counted(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spoil: Callable[..., torch.Tensor]
) -> None:
    recipe = job(run={"steps": 4, "max_nonfinite": 2}, optimizer={"warmup_steps": 0})
    spoilt = Spoilt({2: spoil}).install(monkeypatch)
    train(recipe)
    first, second, third, fourth = spoilt.before
    assert_same(second, third)
    assert all(not torch.equal(first[name], second[name]) for name in first if "lora_B" in name)
    assert all(not torch.equal(third[name], fourth[name]) for name in third if "lora_B" in name)
    assert "non-finite loss at step 1: the batch is left out" in caplog.text
    assert [entry.get("left_out", 0) for entry in entries(recipe)] == [0, 1, 1, 1]
    losses = [entry["loss"] for entry in entries(recipe)]
    assert losses[0] == losses[1] != losses[2]


def test_losses_that_are_not_finite_stop_the_run_after_some_in_a_row(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = job(run={"steps": 9, "max_nonfinite": 3, "save_steps": 1})
    spoilt = Spoilt({2: times_nan, 3: times_nan, 5: times_nan, 6: times_nan, 7: times_nan}).install(monkeypatch)
    with pytest.raises(RecipeError, match="not finite 3 times in a row, last at step 6; lower the learning rate"):
        train(recipe)
    assert len(spoilt.before) == 7
    assert_same(spoilt.before[4], spoilt.before[6])
    assert newest_checkpoint(Path(recipe.run.output)) == checkpoint(recipe, 6)
    assert not (Path(recipe.run.output) / "model").exists()
    monkeypatch.undo()
    train(job("other", run={"steps": 1}))  # nothing of the failed run is in the way


# --- data -------------------------------------------------------------------------------------------------------------


def test_a_file_without_examples_is_an_error(job: Job, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(RecipeError, match=r"There are no examples in .*empty\.jsonl"):
        train(job(data={"examples": str(tmp_path / "empty.jsonl")}))


def test_examples_that_all_are_too_long_are_an_error(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"question": "What? " * 500, "answer": "no"}) + "\n")
    with pytest.raises(RecipeError, match=r"No question of .*long\.jsonl fits into 160 tokens_per_row"):
        train(job(data={"examples": str(path)}, model={}))


def test_words_without_any_clip_can_be_trained_on(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    rows = [{"question": f"Is {n} even?", "answer": "yes" if n % 2 == 0 else "no"} for n in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = job(data={"examples": str(path)}, run={"steps": 2})
    train(recipe)
    assert len(entries(recipe)) == 2
