"""A training run: Hugging Face Trainer over packed rows, resumable, interruptible, safe against bad losses."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mellow.checkpoints.adapter import write_adapter
from mellow.errors import RecipeError
from mellow.files import sync
from mellow.model.mapper import CompactMapper
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.processor import Processor
from mellow.progress import Progress, silent
from mellow.text.prompt import IGNORE
from mellow.text.tokenizer import Tokenizer
from mellow.train.dataset import collate
from mellow.train.initial import (
    adapt,
    adapter_weights,
    base_file,
    initial_model,
    tokenizer_file,
)
from mellow.train.prepare import prepare
from mellow.train.recipe import Recipe

__all__ = ["train"]

log = logging.getLogger(__name__)
COMPLETE = "complete"  # marker written last into a checkpoint: one without it is never resumed from


def train(recipe: Recipe, *, minutes: float | None = None, progress: Progress = silent) -> Path:
    """Train, or resume training, by a recipe and write the adapter checkpoint to `run.output/model`.

    minutes: stop, with a checkpoint, after this long; a second call goes on, bit for bit as if it had not stopped.
    progress: called with (step, done, total) while clips are encoded, event heads fitted and the model trained.
    Returns the model's directory. The order of the data is a function of the seed, the epoch and the examples alone.
    """
    output = Path(recipe.run.output)
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.run.seed)
    model = initial_model(recipe.model)
    tokenizer = Tokenizer.from_file(tokenizer_file(recipe.model))
    config = model.config.model
    rows, tags = prepare(recipe, model, Processor.of(config, tokenizer), progress=progress)
    adapt(model, recipe.model)
    if recipe.run.bfloat16:
        halve_frozen(model)
    learner = Learner(model)
    if recipe.run.compile:
        compile_layers(model)
    stopper = Stopper(minutes)
    trainer = MellowTrainer(
        model=learner,
        recipe=recipe,
        args=arguments(recipe),
        train_dataset=rows,
        data_collator=lambda batch: collate(batch, length=recipe.data.tokens_per_row),
        callbacks=[Reporter(progress), stopper],
    )
    checkpoint = newest_checkpoint(output)
    steps = recipe.run.steps or len(trainer.get_train_dataloader())
    try:
        if checkpoint is not None and step_of(checkpoint) >= steps:  # the Trainer would make one step more
            trainer._load_from_checkpoint(str(checkpoint))
        else:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        stopper.close()
    if trainer.state.global_step < trainer.state.max_steps:
        log.warning(
            "stopped at step %d of %d; run the same command to go on",
            trainer.state.global_step,
            trainer.state.max_steps,
        )
    model.config.tags = {**tags.settings.to_dict(), "muted": []} if tags else {}
    if tags is None or model.events is None:
        model.events, model.config.events = None, {}  # without tags its sounds have no names
    write_adapter(
        output / "model",
        config=model.config.model,
        trained=adapter_weights(model),
        tokenizer=tokenizer_file(recipe.model),
        base=None if recipe.model.base == "bundled" else base_file(recipe.model),
    )
    return output / "model"


class Learner(nn.Module):
    """The model as the Trainer sees it: a packed batch in, a loss out."""

    def __init__(self, model: MellowForConditionalGeneration) -> None:
        super().__init__()
        self.mellow = model

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
        mask: torch.Tensor,
        frames: torch.Tensor,
        scores: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Weighted cross-entropy over the answer tokens; the vocabulary is only computed where there is a label."""
        model = self.mellow
        audio_ND = cast(CompactMapper, model.mapper).tokens(frames, scores) if len(frames) else None
        embeds_BLD = model.embed(ids, audio_ND)
        if torch.is_autocast_enabled(ids.device.type):  # keeps the residual stream in bfloat16: half the memory traffic
            embeds_BLD = embeds_BLD.to(torch.get_autocast_dtype(ids.device.type))
        hidden = torch.finfo(embeds_BLD.dtype).min
        bias = torch.zeros(mask.shape, dtype=embeds_BLD.dtype, device=mask.device).masked_fill(~mask, hidden)
        language_model = model.language_model.get_base_model()
        hidden_BLD = language_model.model(
            inputs_embeds=embeds_BLD, attention_mask=bias, position_ids=positions, use_cache=False
        ).last_hidden_state
        wanted = labels[:, 1:] != IGNORE
        logits_NV = language_model.lm_head(hidden_BLD[:, :-1][wanted]).float()
        weights_N = weights[:, 1:][wanted]
        losses_N = nn.functional.cross_entropy(logits_NV, labels[:, 1:][wanted], reduction="none")
        return {"loss": (losses_N * weights_N).sum() / weights_N.sum()}


class MellowTrainer(Trainer):
    """Keeps the order of the data, saves only trained tensors, and keeps non-finite losses from the optimiser."""

    def __init__(self, *, recipe: Recipe, **kwargs: Any) -> None:
        self.recipe = recipe
        self.bad_losses = 0  # in a row
        self.left_out = 0  # in all
        self.last_loss = float("nan")  # the last that was finite
        super().__init__(**kwargs)

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> SequentialSampler:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)  # type: ignore[arg-type]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:  # type: ignore[has-type]
            chosen = self.recipe.optimizer
            named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
            mapper = [p for name, p in named if ".mapper." in f".{name}"]
            adapters = [p for name, p in named if ".mapper." not in f".{name}"]
            self.optimizer = torch.optim.AdamW(
                [
                    {"params": adapters, "lr": chosen.learning_rate},
                    {"params": mapper, "lr": chosen.mapper_learning_rate},
                ],
                weight_decay=chosen.weight_decay,
            )
        return self.optimizer

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if torch.isfinite(loss) and torch.isfinite(nn.utils.get_total_norm(gradients)):
            self.bad_losses = 0
            self.last_loss = loss.item()
            return loss
        self.bad_losses += 1
        self.left_out += 1
        model.zero_grad(set_to_none=True)
        log.warning("non-finite loss at step %d: the batch is left out", self.state.global_step)
        if self.bad_losses >= self.recipe.run.max_nonfinite:
            raise RecipeError(
                f"The loss was not finite {self.bad_losses} times in a row, last at step {self.state.global_step}; "
                "lower the learning rate."
            )
        return torch.full_like(loss, self.last_loss)  # for the mean in the log, which reports the skipped ones, too

    def log(self, logs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().log({**logs, "left_out": self.left_out} if self.left_out else logs, *args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        torch.save(trained, folder / "trained.pt")

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        for file in folder.iterdir():
            sync(file)
        (folder / COMPLETE).touch()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        trained = torch.load(Path(resume_from_checkpoint) / "trained.pt", weights_only=True, map_location="cpu")
        parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if {name: p.shape for name, p in trained.items()} != {name: p.shape for name, p in parameters.items()}:
            raise RecipeError(f"The checkpoint {resume_from_checkpoint} is of another model; name another run.output.")
        with torch.no_grad():
            for name, tensor in trained.items():
                parameters[name].copy_(tensor)


def arguments(recipe: Recipe) -> TrainingArguments:
    run = recipe.run
    return TrainingArguments(
        output_dir=run.output,
        per_device_train_batch_size=recipe.data.rows_per_batch,
        num_train_epochs=1,
        max_steps=recipe.run.steps or -1,
        learning_rate=recipe.optimizer.learning_rate,
        lr_scheduler_type=recipe.optimizer.schedule,
        warmup_steps=recipe.optimizer.warmup_steps,
        max_grad_norm=recipe.optimizer.max_gradient_norm,
        bf16=run.bfloat16,
        use_cpu=not torch.cuda.is_available(),
        save_steps=run.save_steps,
        save_total_limit=2,
        logging_steps=run.log_steps,
        seed=run.seed,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        logging_nan_inf_filter=False,
        ignore_data_skip=False,
    )


def halve_frozen(model: MellowForConditionalGeneration) -> None:
    """Keep the frozen weights of the language model in bfloat16, so that autocast need not convert them at each use."""
    for parameter in model.language_model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)


def compile_layers(model: MellowForConditionalGeneration) -> None:
    """Compile each decoder layer: one graph serves all, since they have the same shapes."""
    layers = model.language_model.get_base_model().model.layers
    model.language_model.get_base_model().config._attn_implementation = (
        "eager"  # fuses better than SDPA with a mask on CPU
    )
    for layer in layers:
        layer.compile()


def newest_checkpoint(output: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    return max((path for path in output.glob("checkpoint-*") if (path / COMPLETE).is_file()), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


class Reporter(TrainerCallback):
    """Reports each step with the last loss, and writes one JSON line per log to `log.jsonl`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.step = "training"

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.progress(self.step, state.global_step, state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.progress(self.step, state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        entry = {"step": state.global_step, "time": round(time.time()), **(logs or {})}
        if "loss" in entry:
            self.step = f"training: loss {float(entry['loss']):.3f}"
        with (Path(args.output_dir) / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


class Stopper(TrainerCallback):
    """Stops with a checkpoint on SIGINT or SIGTERM, or when the time is up; a second signal ends at once."""

    def __init__(self, minutes: float | None) -> None:
        self.deadline = time.monotonic() + 60 * minutes if minutes is not None else None
        self.asked = False
        self.before: dict[int, Any] = {}  # the handlers that were there, put back in the end

    def close(self) -> None:
        while self.before:
            number, handler = self.before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if threading.current_thread() is threading.main_thread():  # elsewhere no handler can be set
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        for either in self.before:
            signal.signal(either, signal.SIG_DFL)
        self.asked = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.asked or (self.deadline is not None and time.monotonic() > self.deadline):
            control.should_save = control.should_training_stop = True
