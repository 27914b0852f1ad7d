"""`MellowWrapper`: the interface of the published code, whose example script runs unchanged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mellow.answer.decode import DecodingOptions
from mellow.answer.load import load, with_torch
from mellow.answer.many import as_list
from mellow.checkpoints.names import HUB
from mellow.checks import check_kind, shown
from mellow.errors import ModelError, QuestionError
from mellow.processor import ClipPolicy

__all__ = ["MellowWrapper"]

CONFIG = "v0"  # the published code's only config
POLICY = ClipPolicy("repeat", "center")  # one answer for a long clip, as published, but not about a random stretch


class MellowWrapper:
    """Mellow v0 or v0_s, as the published code offers them.

    config: `v0`; model: `v0`, `v0_s`, or the path of such a checkpoint or of a converted one.
    device: `cpu`, the number of a CUDA device, or a name of torch's; use_cuda: False computes on the CPU whatever
        `device` says, and so does a machine without CUDA.
    Raises ModelError for another config or model, or a device that is not there.
    """

    def __init__(self, config: str, model: str | os.PathLike[str], device: Any = "cpu", use_cuda: bool = True) -> None:
        if not isinstance(config, str) or config != CONFIG:
            raise ModelError(f"There is no config {shown(config)}; the published one is {CONFIG!r}.")
        check_kind(model, (str, os.PathLike), what="The model", wanted="a name or a path", error=ModelError)
        check_kind(use_cuda, bool, what="The argument use_cuda", wanted="True or False", error=ModelError)
        name = model if isinstance(model, str) else Path(os.fsdecode(model))  # a path is never a name
        if name not in HUB and not os.path.exists(name):
            raise ModelError(f"There is no model {str(name)!r}; use {', '.join(HUB)}, or the path of a checkpoint.")
        self.model = load(name, device=_device(device, use_cuda), policy=POLICY)

    def generate(
        self,
        examples: Sequence[Sequence[Any]],
        max_len: int = 300,
        top_p: float = 0.8,
        temperature: float = 1.0,
        stop_token: str = "<|endoftext|>",
        audio_resample: bool = True,
    ) -> list[str]:
        """Answer each example, a list of audio path 1, audio path 2 and prompt; the texts in the same order.

        max_len: most tokens of an answer. top_p, temperature: without effect as in the published code, which always
        took the likeliest token; `mellow.load(...).ask(..., decoding=...)` really samples. stop_token, audio_resample:
        taken for the sake of scripts; answers end where the model ends them, and clips are always resampled.
        Raises AudioError, QuestionError.
        """
        decoding = DecodingOptions(max_new_tokens=max_len)
        questions = []
        for number, example in enumerate(as_list(examples), 1):
            if not isinstance(example, list | tuple) or len(example) != 3:
                raise QuestionError(f"Example {number} must be a list of audio path 1, audio path 2 and prompt.")
            audio, audio2, prompt = example
            if isinstance(audio2, str) and not audio2:
                audio2 = None
            questions.append(
                {
                    "audio": audio,
                    "audio2": audio2,
                    "question": prompt,
                }
            )
        answers = self.model.ask_many(questions, decoding=decoding, find_choices=False)
        return [answer.text for answer in answers]


def _device(device: Any, use_cuda: bool) -> str:
    """torch's name of a device: 0 is the first CUDA device."""
    if not use_cuda or not with_torch("the published code's interface").has_cuda():
        return "cpu"
    return f"cuda:{device}" if str(device).isdigit() else str(device)
