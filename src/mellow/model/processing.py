"""The processor for torch users: Mellow's one preprocessing path in the shape of a Hugging Face processor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, BatchFeature, ProcessorMixin

from mellow.config import ModelConfig
from mellow.errors import QuestionError
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import left_pad
from mellow.processor import Processor, Source
from mellow.text.prompt import IGNORE
from mellow.text.tokenizer import Tokenizer

__all__ = ["MellowProcessor"]


class MellowProcessor(ProcessorMixin):  # type: ignore[misc]
    """Clips and questions to the inputs of `MellowForConditionalGeneration`, and token ids back to text.

    config: the model's; tokenizer: of its language model.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.processor = Processor.of(config, tokenizer)

    @classmethod
    def get_attributes(cls) -> list[str]:
        """No sub-processors of transformers' own kinds."""
        return []

    def __call__(
        self, text: str | Sequence[str], audio: Sequence[Sequence[Source]] = (), answers: Sequence[str] | None = None
    ) -> BatchFeature:
        """Build one left-padded batch.

        text: one question or several; audio: for each question, its clips (none, one or two); answers: with them come
        `labels`, which are the answer's tokens and IGNORE elsewhere. Raises QuestionError where their numbers differ.
        Returns `input_ids` and `attention_mask` (B, L), `features` (per clip, its log-mel windows) and `labels`.
        """
        questions = [text] if isinstance(text, str) else list(text)
        clips = [list(sources) for sources in audio] if len(audio) else [[] for _ in questions]
        for what, given in (("clips", clips), ("answers", answers)):
            if given is not None and len(given) != len(questions):
                raise QuestionError(
                    f"There are {what} for {len(given)} questions, but {len(questions)} in all; give {what} for each."
                )
        prompt = self.processor.prompt
        rows, targets = [], []
        for number, question in enumerate(questions):
            asked = self.processor.question(question, clips=len(clips[number]))
            ids = [*prompt.prefix(len(clips[number])), *prompt.question(asked)]
            answer = prompt.answer(answers[number]) if answers is not None else []
            rows.append([*ids, *answer])
            targets.append([*[IGNORE] * len(ids), *answer])
        input_ids, attention_mask = left_pad(rows)
        data = {"input_ids": input_ids, "attention_mask": attention_mask}
        if answers is not None:
            data["labels"] = left_pad(targets, fill=IGNORE)[0]
        batch = BatchFeature(data)
        heard = [[self._windows(source) for source in sources] for sources in clips]
        batch["features"] = [windows for sources in heard for windows in prompt.slots(sources)]
        return batch

    def batch_decode(self, ids: torch.Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Texts of generated ids."""
        return [self.decode(row) for row in ids]

    def decode(self, ids: torch.Tensor | Sequence[int]) -> str:
        """Text of one answer's ids, special tokens left out."""
        return self.processor.prompt.tokenizer.decode([int(token) for token in ids]).strip()

    def save_pretrained(self, save_directory: str | os.PathLike[str], **_: Any) -> list[str]:
        """Write `tokenizer.json`, and `config.json` where the model has not written it yet; returns their paths."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        config, tokenizer = folder / "config.json", folder / "tokenizer.json"
        if not config.exists():
            config.write_text(self.config.with_files().to_json(), encoding="utf-8")
        self.processor.prompt.tokenizer.backend.save(str(tokenizer))
        return [str(config), str(tokenizer)]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **_: Any) -> MellowProcessor:
        """Read a directory that `save_pretrained`, `mellow train` or `mellow convert` has written."""
        folder = Path(pretrained_model_name_or_path)
        return cls(ModelConfig.read(folder), Tokenizer.from_file(folder / "tokenizer.json"))

    def _windows(self, source: Source) -> list[torch.Tensor]:
        views = list(self.processor.views(self.processor.clip(source)))
        if len(views) > 1:
            raise QuestionError(
                f"The clip is {views[-1].end:.0f} s long and the model takes {views[0].end:.0f} s at a time; cut it, "
                "or use mellow.load, which asks about each stretch."
            )
        return [torch.from_numpy(mel_FM) for mel_FM in views[0].windows]


AutoProcessor.register(MellowConfig, MellowProcessor, exist_ok=True)
