"""`MellowWrapper`: the published code's interface, so that its example script runs unchanged on this package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mellow.answer.decode import Sampling
from mellow.answer.load import load
from mellow.errors import ModelError, QuestionError
from mellow.processor import ClipPolicy
from mellow.stored.names import HUB

__all__ = ["MellowWrapper"]

CONFIG = "v0"  # the published code's only config
POLICY = ClipPolicy("repeat", "center")  # one answer for a long clip, as published, but not about a random stretch


class MellowWrapper:
    """Mellow v0 or v0_s, as the published code offers them.

    config: `v0`; model: `v0`, `v0_s`, or the path of such a checkpoint or of a converted one.
    device: `cpu`, the number of a CUDA device, or a name of torch's; use_cuda: False computes on the CPU whatever
        `device` says.
    Raises ModelError for another config or model, or a device that is not there.
    """

    def __init__(self, config: str, model: str | os.PathLike[str], device: Any = "cpu", use_cuda: bool = False) -> None:
        if config != CONFIG:
            raise ModelError(f"There is no config {config!r}; the published one is {CONFIG!r}.")
        if str(model) not in HUB and not os.path.exists(model):
            raise ModelError(f"There is no model {str(model)!r}; use {', '.join(HUB)}, or the path of a checkpoint.")
        self.model = load(str(model), device=_device(device) if use_cuda else "cpu", policy=POLICY)

    def generate(
        self,
        examples: Sequence[Sequence[Any]],
        max_len: int = 300,
        top_p: float = 0.8,
        temperature: float = 1.0,
    ) -> list[str]:
        """Answer each example, a list of audio path 1, audio path 2 and prompt; the texts in the same order.

        max_len: most tokens of an answer. top_p, temperature: checked, but without effect as in the published code,
        which always took the likeliest token; `mellow.load(...).ask(..., sampling=...)` really samples.
        Raises AudioError, QuestionError.
        """
        sampling = Sampling(max_new_tokens=max_len, top_p=top_p, temperature=temperature)
        questions = []
        for number, example in enumerate(examples, 1):
            if isinstance(example, str) or len(example) != 3:
                raise QuestionError(f"Example {number} must be a list of audio path 1, audio path 2 and prompt.")
            audio, audio2, prompt = example
            questions.append({"audio": audio, "audio2": audio2 or None, "question": prompt})
        answers = self.model.ask_many(questions, sampling=sampling, find_choices=False)
        return [answer.text for answer in answers]


def _device(device: Any) -> str:
    """torch's name of a device: 0 is the first CUDA device."""
    return f"cuda:{device}" if isinstance(device, int) else str(device)
