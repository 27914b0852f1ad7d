"""`mellow ask`: one question about one or two clips."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from typer.core import TyperCommand

from mellow.cli import exits_at_once
from mellow.cli.console import Quiet, finite, say, show_logs, waiting
from mellow.cli.progress import progress_bar
from mellow.errors import AudioError, QuestionError

if TYPE_CHECKING:
    from mellow.answer.decode import DecodingOptions
    from mellow.answer.facade import EncodedAudio
    from mellow.types import Answer

__all__ = ["AskCommand", "ask"]

WORDS = 'CLIP [CLIP2] "QUESTION"'
STDIN = "-"
MAX_SEED = 2**64 - 1
PATIENCE = 2.0  # seconds of preparing without a bar
MOST_PIPED_BYTES = 1 << 30  # an hour of 16-bit stereo at 48 kHz is 0.7 GB


class AskCommand(TyperCommand):
    """`ask`, whose usage line shows which of its words are optional."""

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [WORDS, "[OPTIONS]"]


def complete(*values: str) -> Callable[[str], list[str]]:
    """What the shell offers for an option."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]  # typer goes by the name


def ask(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=WORDS,
            help="One or two audio files (wav, flac, ogg, mp3, ...), then the question; - reads a clip from "
            "standard input.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|PATH",
            autocompletion=complete("mini", "v0", "v0_s"),
            help="mini (bundled), v0 or v0_s (from the hub), a published .ckpt, or a model directory.",
        ),
    ] = "mini",
    choice: Annotated[
        list[str] | None,
        typer.Option(
            "--choice", "-c", metavar="TEXT", help="An option to choose from; repeat it for each.", show_default=False
        ),
    ] = None,
    constrained: Annotated[
        bool, typer.Option("--constrained", help="Choose by constrained decoding instead of by likelihood.")
    ] = False,
    abstain_below: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0,
            max=1,
            callback=finite,
            help="Choose no option if the best one is less probable than P.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="Sample (top-p 0.8) instead of decoding greedily.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Random seed for --sample.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, max=4096, help="Stop the answer after this many tokens.")
    ] = 300,
    engine: Annotated[
        str,
        typer.Option(
            metavar="auto|onnx|torch",
            autocompletion=complete("auto", "onnx", "torch"),
            help="onnx runs without torch; auto prefers it.",
        ),
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda|mps",
            autocompletion=complete("auto", "cpu", "cuda", "mps"),
            help="Device to run on; cuda and mps need torch.",
        ),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            autocompletion=complete("auto", "int8", "int4", "fp16", "fp32", "float32", "bfloat16"),
            help="Precision of the weights: int8 (auto), int4, fp16 or fp32; with torch float32 (auto), bfloat16 or "
            "int8.",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="Threads of the onnx engine; by default all available cores, at most 8."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the probability of each option.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question about one or two clips.

    For example: mellow ask siren.flac "What sound is this?"

    If the question itself lists options ("a) dog b) cat", "Options: dog; cat"), the answer is one of them.
    """
    with exits_at_once():
        import mellow
        from mellow.answer.decode import DecodingOptions
        from mellow.audio import CED, load
        from mellow.text.options import find_options
        from mellow.text.question import check_question

    *sources, question = check_count(words or [])
    question = as_text(question)
    choices = check_question(question, [as_text(option) for option in choice or ()], clips=len(sources))
    options = choices or find_options(question)
    if (constrained or abstain_below is not None) and not options:
        raise QuestionError("--constrained and --abstain-below need options; give --choice once for each.")
    if seed is not None and not sample:
        raise QuestionError("--seed has no effect without --sample; give both.")
    decoding = DecodingOptions(max_new_tokens=max_new_tokens, sample=sample, seed=seed)
    recordings = [read_source(source, sources, question) for source in sources]
    clips = [load(recording, CED.sample_rate) for recording in recordings]
    with exits_at_once():  # after all checks of clips and question
        load_model = mellow.load
    show_logs(quiet=quiet)
    with progress_bar(patience=PATIENCE) as progress:
        loaded = load_model(model, engine=engine, device=device, dtype=dtype, threads=threads, progress=progress)
    with waiting("Listening ..."):
        same_rate = loaded.processor.front_end.sample_rate == CED.sample_rate
        audio = loaded.encode(*(clips if same_rate else recordings))
    rule = loaded.rule
    if constrained:
        rule = replace(rule, by="decoding", temperature=1.0, prior_weight=0.0)
    if abstain_below is not None:
        rule = replace(rule, abstain_below=abstain_below)
    if is_terminal() and not as_json and not options:
        stream(audio, question, decoding)
        return
    answer = audio.ask(question, choices=choices, decoding=decoding, rule=rule)
    if as_json:
        say(json.dumps(asdict(answer) | {"model": model}))
    else:
        show(answer, verbose=verbose)


def as_text(argument: str) -> str:
    """An argument as UTF-8 where the locale of the shell says less (LC_ALL=C); else as it is."""
    if argument.isascii():
        return argument
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def check_count(words: Sequence[str]) -> Sequence[str]:
    """The clips and the question; QuestionError where one is missing, or an unquoted question is likely."""
    if not words:
        raise QuestionError('A clip and a question are needed: mellow ask siren.flac "What sound is this?"')
    if len(words) == 1:
        if os.path.isfile(words[0]) or words[0] == STDIN:
            raise QuestionError(
                f'A question is missing; for example: mellow ask {shlex.quote(words[0])} "What sound is this?"'
            )
        raise QuestionError(f"A clip and a question are needed, but only {words[0]!r} was given.")
    *sources, _ = words
    if len(sources) > 2:
        raise QuestionError(
            f"A question is about one or two clips, but {len(sources)} were given; if some are words of the question, "
            "put it in quotes."
        )
    if sources.count(STDIN) > 1:
        raise QuestionError("Only one of two clips can be read from standard input; name a file for the other.")
    return words


class Piped(io.BytesIO):
    """What came in through a pipe, under a name for messages."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(file.read(MOST_PIPED_BYTES + 1))
        self.name = name
        if self.getbuffer().nbytes > MOST_PIPED_BYTES:
            raise AudioError(f"{name} holds more than {MOST_PIPED_BYTES >> 30} GiB; cut the recording")


def read_source(source: str, sources: Sequence[str], question: str) -> str | BinaryIO:
    """A path as it is; the bytes of standard input (`-`) or of a pipe (`<(ffmpeg ...)`), up to a limit."""
    if source == STDIN:
        if sys.stdin is None:
            raise AudioError("standard input is closed; pipe a recording into it, or name a file")
        if sys.stdin.isatty():
            raise AudioError("standard input is a terminal; pipe a recording into it, or name a file")
        return Piped(sys.stdin.buffer, "standard input")
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):
        check_missing(source, question)
        return source  # decoding says what is wrong with it
    if stat.S_ISFIFO(mode):
        with open(source, "rb") as file:
            return Piped(file, source)
    if stat.S_ISCHR(mode) or stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        raise AudioError(f"{source!r} is a device, not a file; pipe a recording into 'mellow ask -' instead")
    return source


def check_missing(source: str, question: str) -> None:
    """Raise AudioError where the message can be better than "no such file"."""
    if re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE):
        raise AudioError(f"{source!r} is an address, and only files are read; download it first")
    if os.path.isfile(question):
        raise AudioError(f"there is no file {source!r}, but {question!r} is one; the question comes last")


def is_terminal() -> bool:
    return sys.stdout.isatty()


def stream(audio: EncodedAudio, question: str, decoding: DecodingOptions) -> None:
    """Print an open answer while it is decoded; an interrupted one ends its line, too."""
    try:
        for piece in audio.stream(question, decoding=decoding):
            say(piece, end="")
    finally:
        say("")


def show(answer: Answer, *, verbose: bool) -> None:
    """Print the answer; verbose: and the options with their probabilities."""
    say(answer.text)
    if verbose:
        for option, probability in zip(answer.options, answer.probabilities, strict=True):
            say(f"{probability:6.3f}  {option}")
