"""`mellow ask`: one question about one or two clips."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from mellow.cli.console import printable, show_logs
from mellow.cli.progress import progress_bar
from mellow.errors import AudioError, QuestionError
from mellow.types import Answer

if TYPE_CHECKING:
    from mellow.answer.decode import Sampling
    from mellow.answer.facade import Ear
    from mellow.processor import Processor

__all__ = ["ask"]

STDIN = "-"
PATIENCE = 2.0  # seconds of preparing without a bar
MOST_STDIN_BYTES = 1 << 30  # an hour of 16-bit stereo at 48 kHz is 0.7 GB


def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar='CLIP [CLIP2] "QUESTION"',
            help="One or two recordings (wav, flac, ogg, mp3, ...; - reads standard input), then the question.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|PATH",
            help="mini (bundled), v0 or v0_s (from the hub), a published .ckpt, or a model's directory.",
        ),
    ] = "mini",
    choice: Annotated[
        list[str] | None,
        typer.Option("--choice", "-c", metavar="TEXT", help="An option to choose from; give one for each."),
    ] = None,
    constrained: Annotated[
        bool, typer.Option("--constrained", help="Choose by decoding that can say nothing but the options.")
    ] = False,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", min=0, max=1, help="Choose nothing where the best option is less probable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw the words (top-p 0.8) instead of taking the likeliest.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Makes the draws of --sample repeatable.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, max=4096, help="Cut the answer after this many tokens.")
    ] = 300,
    engine: Annotated[
        str,
        typer.Option(metavar="auto|onnx|torch", help="onnx needs no torch; auto takes it wherever it can."),
    ] = "auto",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute; cuda and mps are torch's.")
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Precision: int8 (auto), int4, fp16 or fp32; with torch float32 (auto), bfloat16 or int8.",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Threads of the engine onnx; all cores, at most 8, without it."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the probability of each option, too.")
    ] = False,
) -> None:
    """Answer a question about one or two clips.

    For example: mellow ask siren.flac "What sound is this?"

    Options that stand in the question itself ("a) dog b) cat", "Options: dog; cat") are found and chosen from, too.
    """
    from mellow.answer.decode import Sampling
    from mellow.text.options import find_options

    *sources, question = words
    choices = tuple(choice or ())
    sampling = Sampling(max_new_tokens=max_new_tokens, sample=sample, seed=seed)
    check_count(sources)
    early = checker()
    early.question(question, choices, clips=len(sources))
    if (constrained or abstain_below is not None) and not (choices or find_options(question)):
        raise QuestionError("--constrained and --abstain-below are about options; give --choice once for each.")
    if seed is not None and not sample:
        raise QuestionError("--seed makes the draws of --sample repeatable; give --sample, too.")
    recordings = [read_source(source) for source in sources]
    clips = [early.clip(recording) for recording in recordings]  # a wrong path is told before the model is loaded
    import mellow

    show_logs()
    with progress_bar(patience=PATIENCE) as progress:
        loaded = mellow.load(model, engine=engine, device=device, dtype=dtype, threads=threads, progress=progress)
    with waiting("Listening ..."):
        same_ear = loaded.processor.front_end == early.front_end
        ear = loaded.listen(*(clips if same_ear else recordings))
    rule = loaded.rule
    if constrained:
        rule = replace(rule, by="decoding", temperature=1.0, prior_weight=0.0)
    if abstain_below is not None:
        rule = replace(rule, abstain_below=abstain_below)
    if as_json:
        answer = ear.ask(question, choices=choices, sampling=sampling, rule=rule)
        typer.echo(json.dumps(asdict(answer) | {"model": model}))
    elif is_terminal() and not choices and not find_options(question):
        stream(ear, question, sampling)
    else:
        show(ear.ask(question, choices=choices, sampling=sampling, rule=rule), verbose=verbose)


def check_count(sources: Sequence[str]) -> None:
    """Raise QuestionError where no clip is given, or more than a question with its spaces unquoted could be."""
    if not sources:
        raise QuestionError('One clip and a question are needed: mellow ask CLIP [CLIP2] "QUESTION".')
    if len(sources) > 2:
        raise QuestionError(
            f"A question is about one or two clips, but {len(sources)} were given; if some are words of the question, "
            "put it in quotes."
        )
    if list(sources).count(STDIN) > 1:
        raise QuestionError("Only one of two clips can be read from standard input; name a file for the other.")


def checker() -> Processor:
    """A processor without a vocabulary: enough to check a question and to decode clips before a model is loaded."""
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import BPE

    from mellow.audio import CED
    from mellow.processor import Processor
    from mellow.text.prompt import CompactPrompt
    from mellow.text.tokenizer import Tokenizer

    return Processor(CED, CompactPrompt(Tokenizer(Backend(BPE()))))


class StandardInput(io.BytesIO):
    """What came in on standard input, under a name for messages."""

    name = "standard input"


def read_source(source: str) -> str | BinaryIO:
    """A path as it is; `-` as the bytes of standard input, of which there is a bounded number."""
    if source != STDIN:
        return source
    if sys.stdin.isatty():
        raise AudioError("standard input is a terminal; pipe a recording into it, or name a file")
    data = sys.stdin.buffer.read(MOST_STDIN_BYTES + 1)
    if len(data) > MOST_STDIN_BYTES:
        raise AudioError(f"standard input holds more than {MOST_STDIN_BYTES >> 30} GiB; cut the recording")
    return StandardInput(data)


def is_terminal() -> bool:
    return sys.stdout.isatty()


def waiting(text: str) -> AbstractContextManager[Any]:
    """A spinner on stderr where that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def stream(ear: Ear, question: str, sampling: Sampling) -> None:
    """Print an open answer while it is made."""
    for piece in ear.stream(question, sampling=sampling):
        sys.stdout.write(printable(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def show(answer: Answer, *, verbose: bool) -> None:
    """Print the answer, and the options with their probabilities below it where that is wanted."""
    typer.echo(printable(answer.text))
    if verbose:
        for option, probability in zip(answer.options, answer.probabilities, strict=True):
            typer.echo(f"{probability:6.3f}  {printable(option)}")
