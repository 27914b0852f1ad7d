"""`Mellow`: a loaded model, and the ways to ask it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pickle import PicklingError
from typing import Any, Literal, overload

from mellow.answer.choose import ChoiceRule
from mellow.answer.decode import DecodingOptions
from mellow.answer.encoded_audio import EncodedAudio, Stream
from mellow.answer.many import OnError, Progress, answer_many, as_list
from mellow.answer.pipeline import Pipeline, as_decoding, as_rule
from mellow.checks import check_kind, kind_of, shown
from mellow.errors import MellowError, QuestionError
from mellow.processor import Source
from mellow.text.question import check_question
from mellow.types import Answer

__all__ = ["EncodedAudio", "Mellow", "Stream"]


@dataclass
class Mellow(Pipeline):
    """A loaded model. Make one with `mellow.load`. Several threads may share it, and an `EncodedAudio` of it.

    engine: encodes, embeds and decodes; processor: clips and text to its inputs; tags: writes the audio tags; rule: how
    options are scored.
    reload: loads it again: a pickled model is loaded by the process that unpickles it, such as a worker.
    """

    reload: Callable[[], Mellow] | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.reload is None:
            raise PicklingError("A model that mellow.load did not make cannot be pickled; load it in each process.")
        return self.reload, (), {"rule": self.rule}

    def ask(
        self,
        audio: Source,
        question: str,
        *,
        audio2: Source | None = None,
        choices: Iterable[str] | None = None,
        decoding: DecodingOptions | None = None,
        rule: ChoiceRule | None = None,
    ) -> Answer:
        """Answer one question about one clip, or two.

        audio, audio2: paths, bytes, file objects or Clips, of up to an hour, in any format that libsndfile reads.
        choices: options to choose from; without them, options listed in the question are found and used. Equal options
            are reported as given, are scored once, and have the same probability.
        decoding: how an open answer's tokens are chosen.
        rule: how options are scored, instead of by the model's own rule.
        Clips longer than the model takes at once are asked about in stretches (`mellow.answer.views`).
        Raises AudioError, QuestionError.
        """
        choices = check_question(question, choices)  # before anything is encoded
        as_decoding(decoding), as_rule(rule, self.rule)
        return self.encode(audio, audio2).ask(question, choices=choices, decoding=decoding, rule=rule)

    def encode(self, audio: Source, audio2: Source | None = None) -> EncodedAudio:
        """Encode one or two clips once, to ask many questions about them."""
        began = time.perf_counter()
        encoded = EncodedAudio.of(self, self._encode(audio, audio2))
        encoded.seconds = time.perf_counter() - began
        return encoded

    @overload
    def ask_many(
        self,
        questions: Iterable[Mapping[str, Any]],
        *,
        decoding: DecodingOptions | None = ...,
        find_choices: bool = ...,
        on_error: Literal["raise"] = ...,
        progress: Progress | None = ...,
    ) -> list[Answer]: ...

    @overload
    def ask_many(
        self,
        questions: Iterable[Mapping[str, Any]],
        *,
        decoding: DecodingOptions | None = ...,
        find_choices: bool = ...,
        on_error: OnError,
        progress: Progress | None = ...,
    ) -> list[Answer | MellowError]: ...

    def ask_many(
        self,
        questions: Iterable[Mapping[str, Any]],
        *,
        decoding: DecodingOptions | None = None,
        find_choices: bool = True,
        on_error: OnError = "raise",
        progress: Progress | None = None,
    ) -> list[Answer] | list[Answer | MellowError]:
        """Answer many questions in batches; the answers equal those of `ask` and have the order of the questions.

        questions: mappings with `audio` and `question`, and optionally `audio2` and `choices`; of any iterable.
        find_choices: False answers in free text even where the question lists options.
        on_error: `raise` stops at the first question that cannot be answered, before anything is encoded if its text or
            its keys are invalid; `return` puts its MellowError in the place of its answer and answers all others. Both
            name the question by its number, from 1.
        progress: called after each batch with the number of questions that are done and the number of all.
        `seconds` of each answer is the batch's time divided by its size.
        Raises AudioError, QuestionError.
        """
        if not isinstance(on_error, str) or on_error not in ("raise", "return"):
            raise QuestionError(f"The argument on_error must be 'raise' or 'return', not {shown(on_error)}.")
        if progress is not None and not callable(progress):
            raise QuestionError(f"The argument progress must be a function or None, not {kind_of(progress)}.")
        check_kind(find_choices, bool, what="The argument find_choices", wanted="True or False", error=QuestionError)
        return answer_many(
            self,
            as_list(questions),
            decoding=as_decoding(decoding),
            find_choices=find_choices,
            on_error=on_error,
            progress=progress,
        )
