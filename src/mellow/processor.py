"""The one preprocessing path from clips and text to model inputs, in numpy.

Training, evaluation, the command line and exports all come through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from mellow.audio import FrontEnd, Source, clip_of, fit, log_mel, window_starts, windows
from mellow.checks import shown, whole_number
from mellow.config import ModelConfig
from mellow.encoders import WINDOW_SECONDS
from mellow.errors import AudioError
from mellow.text.prompt import CompactPrompt, Prompt
from mellow.text.published_prompt import PublishedPrompt
from mellow.text.question import MAX_QUESTION_CHARACTERS, check_question
from mellow.text.tokenizer import Tokenizer
from mellow.types import Clip, Encoded

__all__ = ["MAX_QUESTION_CHARACTERS", "ClipPolicy", "Processor", "Source", "View", "join_windows"]

STRETCH_WINDOWS = 3  # windows in one prompt: 30 s, the longest clips of training (docs/log.md)
STRETCH_REST_SECONDS = 2.0  # a shorter remainder, below the shortest scene of training, joins the stretch before it
HOP_SECONDS = 8.0  # from one separately answered window to the next: they overlap by 2 s, the last one by up to 9.5 s
REST_SECONDS = 0.5  # a shorter remainder after such windows gets no answer of its own
SHORTEST_FRAMES = 48  # a shorter clip is padded with silence: three encoder steps, 0.48 s
Short = Literal["keep", "pad", "repeat"]
Long = Literal["join", "windows", "start", "center", "random"]


@dataclass(frozen=True)
class ClipPolicy:
    """How a clip that is not 10 s long is given to the model.

    short: what fills a window below 10 s: nothing (`keep`), zeros (`pad`) or the window again and again (`repeat`).
    long: a longer clip is one prompt up to 30 s, and asked about in stretches of 30 s beyond (`join`); asked about
        window by window (`windows`, each overlapping the one before); or only its first (`start`), middle (`center`)
        or random (`random`) 10 s are used.
    seed: of `random`, which has none in the original.
    Raises AudioError for an unknown policy.
    """

    short: Short = "keep"
    long: Long = "join"
    seed: int | None = None

    def __post_init__(self) -> None:
        for what, given, known in (("short", self.short, Short), ("long", self.long, Long)):
            if not isinstance(given, str) or given not in get_args(known):
                names = ", ".join(get_args(known))
                raise AudioError(f"There is no policy {shown(given)} for {what} clips; use {names}.")
        if self.long == "random" and self.seed is None:
            raise AudioError("The policy 'random' needs a seed, so that its answers can be repeated.")
        if self.seed is not None:
            whole_number(self.seed, what="The seed", low=0, error=AudioError)


PUBLISHED = ClipPolicy("repeat", "windows")  # as v0, but v0 crops long clips at random


@dataclass(frozen=True, eq=False)
class View:
    """A stretch of a clip that gets its own answer: from `start` to `end` in seconds; its log-mels (F, M)."""

    start: float
    end: float
    windows: list[np.ndarray]


@dataclass(frozen=True)
class Processor:
    """Turns recordings into log-mel windows, and questions into token ids.

    front_end: the encoder's log-mel; prompt: the layout's text; policy: for clips that are not 10 s long.
    """

    front_end: FrontEnd
    prompt: Prompt
    policy: ClipPolicy = ClipPolicy()

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        tokenizer: Tokenizer,
        *,
        policy: ClipPolicy | None = None,
    ) -> Processor:
        """The processor of a model; `policy` overrides that of its layout and encoder.

        Raises AudioError for a policy that the layout does not support.
        """
        front_end = config.spec.front_end(config.sizes)
        if config.layout == "published":
            if policy is not None and policy.long == "join":
                raise AudioError("The published layout takes 10 s at a time; use windows, start, center or random.")
            return cls(front_end, PublishedPrompt(tokenizer), policy or PUBLISHED)
        return cls(front_end, CompactPrompt(tokenizer), policy or ClipPolicy(config.spec.short))

    def clip(self, source: Source) -> Clip:
        """A clip at the encoder's rate, of any source whose rate is known: see `mellow.audio.clip_of`."""
        return clip_of(source, self.front_end.sample_rate)

    def features(self, clip: Clip) -> list[np.ndarray]:
        """Log-mels of a whole clip: one (F, M) float32 array per consecutive window of 10 s, in order."""
        return [self._log_mel(piece_S) for piece_S in self._pieces(clip)]

    def _pieces(self, clip: Clip) -> list[np.ndarray]:
        return windows(clip.waveform_S, self._window_S, hop_S=self._shortest_S // 3)

    def views(self, clip: Clip) -> Iterator[View]:
        """The stretches of a clip that are asked about one by one, computed lazily; most clips have a single one."""
        return self._stretches(clip) if self.policy.long == "join" else self._windows(clip)

    def _stretches(self, clip: Clip) -> Iterator[View]:
        """Up to STRETCH_WINDOWS consecutive windows each."""
        pieces = self._pieces(clip)
        rest_S = round(STRETCH_REST_SECONDS * self.front_end.sample_rate)
        ends = [*range(STRETCH_WINDOWS, len(pieces), STRETCH_WINDOWS), len(pieces)]
        if len(ends) > 1 and ends[-1] - ends[-2] == 1 and len(pieces[-1]) < rest_S:
            del ends[-2]
        for start, end in pairwise([0, *ends]):
            until = clip.seconds if end == len(pieces) else end * WINDOW_SECONDS
            yield View(start * WINDOW_SECONDS, until, [self._log_mel(piece_S) for piece_S in pieces[start:end]])

    def _windows(self, clip: Clip) -> Iterator[View]:
        """One window each."""
        samples, rate = len(clip.waveform_S), self.front_end.sample_rate
        starts = [0]
        if self.policy.long == "windows":
            rest_S = round(REST_SECONDS * rate)
            starts = window_starts(samples, self._window_S, round(HOP_SECONDS * rate), rest_S=rest_S)
        elif self.policy.long == "center":
            starts = [max(0, samples - self._window_S) // 2]
        elif self.policy.long == "random":
            rng = np.random.default_rng(self.policy.seed)
            starts = [int(rng.integers(max(0, samples - self._window_S) + 1))]
        for start in starts:
            piece_S = clip.waveform_S[start : start + self._window_S]
            yield View(start / rate, (start + len(piece_S)) / rate, [self._log_mel(piece_S)])

    def question(self, question: str, choices: Iterable[str] | None = None, *, clips: int = 1) -> str:
        """Check a question and its options, and write them as one text, as the layout does.

        Raises QuestionError for an invalid question or options; see `mellow.text.question`.
        """
        return self.prompt.write(question, check_question(question, choices, clips=clips))

    @property
    def _window_S(self) -> int:
        return round(WINDOW_SECONDS * self.front_end.sample_rate)

    @property
    def _shortest_S(self) -> int:
        return (SHORTEST_FRAMES - 1) * self.front_end.hop

    def _log_mel(self, waveform_S: np.ndarray) -> np.ndarray:
        if self.policy.short != "keep":
            return log_mel(fit(waveform_S, self._window_S, self.policy.short), self.front_end)
        short = self._shortest_S - len(waveform_S)
        return log_mel(np.pad(waveform_S, (0, short)) if short > 0 else waveform_S, self.front_end)


def join_windows(encoded: Sequence[Encoded]) -> Encoded:
    """The encoded consecutive windows of a clip as a whole: tokens and steps in order, of clip scores the highest."""
    if len(encoded) == 1:
        return encoded[0]
    events = [window.event_scores_TE for window in encoded if window.event_scores_TE is not None]
    return Encoded(
        np.concatenate([window.audio_KD for window in encoded]),
        np.max([window.clip_scores_C for window in encoded], 0),
        np.concatenate([window.step_scores_TC for window in encoded]),
        np.concatenate(events) if events else None,
    )
