"""The one preprocessing path: clips and text to model inputs, numpy only.

Training, evaluation, the command line and exports all come through here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, get_args

import numpy as np

from mellow.audio import FrontEnd, fit, from_array, front_end_of, load, log_mel, window_starts, windows
from mellow.errors import AudioError
from mellow.text.prompt import CompactPrompt, Prompt
from mellow.text.published_prompt import PublishedPrompt
from mellow.text.question import check_question
from mellow.text.tokenizer import Tokenizer
from mellow.types import Clip

__all__ = ["ClipPolicy", "Processor", "Source", "View"]

Source = str | os.PathLike[str] | bytes | BinaryIO | Clip

WINDOW_SECONDS = 10.0  # the longest stretch an encoder hears at once
HOP_SECONDS = 8.0  # from one separately answered window to the next: they overlap by 2 s, the last one by up to 9.5 s
REST_SECONDS = 0.5  # a shorter rest behind such windows is not worth another answer
SHORTEST_FRAMES = 48  # a shorter clip is padded with silence: three encoder steps, 0.48 s
Short = Literal["keep", "pad", "repeat"]
Long = Literal["join", "windows", "start", "center", "random"]


@dataclass(frozen=True)
class ClipPolicy:
    """How a clip that is not 10 s long meets the model.

    short: what fills a window below 10 s: nothing (`keep`), zeros (`pad`) or the window again and again (`repeat`).
    long: a longer clip is heard as one, in consecutive windows (`join`); asked about window by window (`windows`, each
        overlapping the one before); or only its first (`start`), middle (`center`) or any (`random`) 10 s are heard.
    seed: of `random`, which the original did without one.
    Raises AudioError for a policy that there is not.
    """

    short: Short = "keep"
    long: Long = "join"
    seed: int | None = None

    def __post_init__(self) -> None:
        for what, given, known in (("short", self.short, Short), ("long", self.long, Long)):
            if given not in get_args(known):
                raise AudioError(f"there is no policy {given!r} for {what} clips; use {', '.join(get_args(known))}")
        if self.long == "random" and self.seed is None:
            raise AudioError("the policy 'random' needs a seed, so that an answer can be had again")


PUBLISHED = ClipPolicy("repeat", "windows")  # v0 repeats short clips; it cropped long ones at random, here all is heard


@dataclass(frozen=True, eq=False)
class View:
    """A stretch of a clip that is asked about by itself: from `start` to `end` in seconds; its log-mels (F, M)."""

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
        tokenizer: Tokenizer,
        *,
        encoder: str = "ced",
        layout: str = "compact",
        mel_bins: int = 64,
        policy: ClipPolicy | None = None,
    ) -> Processor:
        """The processor of a model, by its encoder's kind and its layout; `policy` overrides the layout's own."""
        front_end = front_end_of(encoder, mel_bins=mel_bins)
        if layout == "published":
            return cls(front_end, PublishedPrompt(tokenizer), policy or PUBLISHED)
        keep = ClipPolicy("pad" if encoder == "htsat" else "keep")  # HTSAT stretches what is shorter
        return cls(front_end, CompactPrompt(tokenizer), policy or keep)

    def clip(self, source: Source) -> Clip:
        """Decode a path, bytes or a file object to mono at the encoder's rate; a Clip is checked and brought to it."""
        rate = self.front_end.sample_rate
        if not isinstance(source, Clip):
            return load(source, rate)
        return from_array(source.waveform_S, source.sample_rate, rate, name=source.name)

    def features(self, clip: Clip) -> list[np.ndarray]:
        """Log-mels of a whole clip: one (F, M) float32 array per consecutive window of 10 s, in order."""
        pieces = windows(clip.waveform_S, self._window_S, hop_S=self._shortest_S // 3)
        return [self._log_mel(piece_S) for piece_S in pieces]

    def views(self, clip: Clip) -> Iterator[View]:
        """The stretches of a clip that are asked about one by one: a single one, unless the policy says `windows`."""
        if self.policy.long == "join":
            yield View(0.0, clip.seconds, self.features(clip))
            return
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

    def question(self, question: str, choices: Sequence[str] = (), *, clips: int = 1) -> str:
        """Check a question and its options (see `check_question`), and write them as one text, in the layout's way."""
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
