"""Frozen values that packages hand to each other: clips, encoded audio, examples and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

__all__ = ["Answer", "Clip", "Encoded", "Example", "Scores", "StopReason", "WindowAnswer"]

StopReason = Literal["end", "length", "choice", "abstained"]


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded recording: mono, finite, at the rate an encoder wants.

    waveform_S: float32 samples, nominally in [-1, 1]. A clip of your own may hold any array, tensor or list that
        `mellow.audio.from_array` takes; it is checked, mixed and resampled when it is listened to.
    sample_rate: in Hz.
    name: what a message calls the clip (a path, or "<bytes>").
    """

    waveform_S: np.ndarray
    sample_rate: int
    name: str = "<array>"

    @property
    def seconds(self) -> float:
        return len(self.waveform_S) / self.sample_rate


@dataclass(frozen=True, eq=False)
class Encoded:
    """A window of a clip, or a whole clip, as a model encodes it; all arrays float32.

    audio_KD: audio tokens for the language model; clip_scores_C, step_scores_TC: class logits of the clip and of each
    step; event_scores_TE: logits of the event head at each step, or None where the model has none.
    """

    audio_KD: np.ndarray
    clip_scores_C: np.ndarray
    step_scores_TC: np.ndarray
    event_scores_TE: np.ndarray | None = None


@dataclass(frozen=True)
class Example:
    """One question with its answer about zero, one or two clips: a row of examples.jsonl.

    audio: paths of the clips, relative to the file that holds the row.
    heard: class names written before the question when there is no audio (word-only practice).
    choices: the options in the order shown, or empty; for a closed-ended row `answer` is one of them.
    task: the task family (`identify`, `order`, ...), by which results are reported.
    group: rows of one group share their clips, so that training encodes these once.
    """

    question: str
    answer: str
    audio: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    task: str = ""
    group: str = ""
    heard: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """How likely a model finds each option, in the order given; nothing is weighted or normalised yet.

    with_audio: the mean log-likelihood of the option's tokens, its end mark included, after the clips and the question.
    without_audio: the same after the question alone; a `ChoiceRule` takes `prior_weight` times this off.
    """

    with_audio: tuple[float, ...]
    without_audio: tuple[float, ...]


@dataclass(frozen=True)
class WindowAnswer:
    """What the model says about a window of a long clip, from `start` to `end` in seconds."""

    start: float
    end: float
    text: str
    choice: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the model says.

    text: the answer in words (for a choice, the option's text).
    choice: the chosen option's text, or None for an open question or an abstention.
    options: those chosen from, in order: the choices given, else the options found in the question; empty for an open
        question.
    probabilities: one per option, in the same order.
    stop_reason: `end` (the model ended), `length` (max_new_tokens reached), `choice`, `abstained`.
    seconds: wall time from the clip's samples to the answer.
    windows: of a long clip that was asked about window by window, the answer of each; else empty.
    prompt_tokens: tokens of the prompt, audio tokens included; of all windows together.
    answer_tokens: tokens that were generated, without the end mark; none for a choice, whose options are scored.
    """

    text: str
    choice: str | None = None
    options: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    stop_reason: StopReason = "end"
    seconds: float = field(default=0.0, compare=False)
    windows: tuple[WindowAnswer, ...] = ()
    prompt_tokens: int = 0
    answer_tokens: int = 0
