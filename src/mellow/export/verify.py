"""The proof of an export: the same clips and questions through the torch engine and through the graphs.

Each engine hears the clips itself. Tokens are compared along the torch engine's greedy answers: both read the same
words, so that one early difference does not count as many. Of all tokens the share of equal ones is told; what is bound
is that of the clear ones, which torch puts ahead by more than CLEAR: ties fall either way, and a model that repeats
itself would count one of them many times.

Shapes: L tokens of an answer, V vocabulary.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import fmean

import numpy as np

from mellow.answer.decode import DecodingOptions, decode, prefill
from mellow.answer.facade import Mellow
from mellow.answer.pipeline import Pipeline
from mellow.engines.onnx.engine import OnnxEngine
from mellow.errors import ModelError
from mellow.types import Clip

__all__ = ["BOUNDS", "Bound", "Comparison", "compare", "is_clear", "peak_megabytes", "size_megabytes"]

QUESTIONS = (
    "What do you hear?",
    "Describe the sounds in one sentence.",
    "How many different sounds are there, and which comes first?",
)
CHOICES = (
    ("What is it?", ("a dog barks", "rain falls", "a siren wails", "someone knocks", "a bird sings", "a bell rings")),
    ("Is there an animal?", ("yes", "no")),
    ("Where was this recorded?", ("indoors", "outdoors", "in a vehicle")),
)
TOKENS = 24  # of each answer that are compared
CLEAR = 0.25  # of the standard deviation of the logits, by which the best token is ahead of the second


@dataclass(frozen=True)
class Bound:
    """What an export may change: the largest logit error, the least shares of equal clear tokens and equal choices."""

    logits: float
    tokens: float
    choices: float


# Wide enough for the bundled model and for full-size random weights (docs/log.md), and broken graphs are far outside.
BOUNDS = {
    "fp32": Bound(0.01, 0.999, 0.999),
    "fp16": Bound(0.5, 0.97, 0.95),
    "int8": Bound(12.0, 0.9, 0.85),
    "int4": Bound(20.0, 0.9, 0.6),
}


@dataclass(frozen=True)
class Comparison:
    """How far the graphs are from the torch engine, over all clips and questions.

    equal_tokens: the share of all greedy tokens; equal_clear: of the clear ones, or of all where none is clear.
    """

    logit_error: float
    equal_tokens: float
    equal_clear: float
    equal_choices: float
    tokens: int
    clear: int
    choices: int

    def breaks(self, bound: Bound) -> list[str]:
        """What is outside a bound, in words."""
        broken = []
        if not self.logit_error <= bound.logits:
            broken.append(f"the largest logit error is {self.logit_error:.3g} and may be {bound.logits:g}")
        if self.equal_clear < bound.tokens:
            broken.append(f"{self.equal_clear:.1%} of the clear tokens are equal and {bound.tokens:.1%} have to be")
        if self.equal_choices < bound.choices:
            broken.append(f"{self.equal_choices:.1%} of the choices are equal and {bound.choices:.1%} have to be")
        return broken


def compare(model: Mellow, graphs: str | Path, clips: Sequence[str | Path | Clip]) -> Comparison:
    """Ask a model on the torch engine and its graphs the same about each clip, and about pairs of them.

    Of each, one open question in turn and all those with options.

    Raises AudioError for clips that cannot be heard, ModelError without clips or for graphs that are damaged.
    """
    if not clips:
        raise ModelError("There are no clips to compare the graphs by; give some with --clips.")
    other = replace(model, engine=OnnxEngine.load(graphs, verify=True))
    errors: list[float] = []
    equal: list[bool] = []
    clear: list[bool] = []
    choices: list[bool] = []
    groups = [*((clip,) for clip in clips), *zip(clips[::2], clips[1::2], strict=False)]
    for group, question in zip(groups, cycle(QUESTIONS), strict=False):
        ears = model.encode(*group), other.encode(*group)
        path = _greedy(model, ears[0].prefixes[0], question, len(group))
        exact_LV, found_LV = (_logits(ear.model, ear.prefixes[0], question, len(group), path) for ear in ears)
        errors.append(float(np.abs(exact_LV - found_LV).max()))
        equal += (exact_LV.argmax(1) == found_LV.argmax(1)).tolist()
        clear += is_clear(exact_LV).tolist()
        for closed, options in CHOICES:
            exact, found = (ear.ask(closed, choices=options).probabilities for ear in ears)
            choices.append(int(np.argmax(exact)) == int(np.argmax(found)))
    clear_ones = [same for same, sure in zip(equal, clear, strict=True) if sure]
    return Comparison(
        logit_error=max(errors),
        equal_tokens=fmean(equal),
        equal_clear=fmean(clear_ones or equal),
        equal_choices=fmean(choices),
        tokens=len(equal),
        clear=len(clear_ones),
        choices=len(choices),
    )


def is_clear(logits_LV: np.ndarray) -> np.ndarray:
    """Whether the best token of each row (L) is ahead of the second by more than CLEAR."""
    second_L, best_L = np.partition(logits_LV, -2, axis=1)[:, -2:].T
    clear_L: np.ndarray = best_L - second_L > CLEAR * logits_LV.std(1)
    return clear_L


def size_megabytes(directory: str | Path) -> float:
    """Of all files in a directory, in MB."""
    return sum(path.stat().st_size for path in Path(directory).iterdir()) / 1e6


def peak_megabytes(graphs: str | Path) -> float | None:
    """Most memory, in MB, of a process of its own that opens the graphs and reads 100 rows; None where none tells."""
    code = (
        "import sys, numpy as np; from mellow.engines.onnx.engine import OnnxEngine; e = OnnxEngine.load(sys.argv[1]);"
        "mel = np.zeros((1001, e.encoder.get_inputs()[0].shape[2]), np.float32); e.encode(mel);"
        "x = np.zeros((1, 100, e.sizes.width), np.float32);"
        "e.forward(x, np.ones((1, 100), np.int64), None);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    if not Path("/proc/self/status").is_file():
        return None
    done = subprocess.run([sys.executable, "-c", code, str(graphs)], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024 / 1e6


def _greedy(model: Pipeline, prefix_LD: np.ndarray, question: str, clips: int) -> list[int]:
    """The token ids of a greedy answer, its end mark with them."""
    logits_BV, cache = prefill(model.engine, [np.concatenate([prefix_LD, _asked(model, question, clips)])])
    how = {"stop_ids": model.processor.prompt.stop_ids, "decoding": DecodingOptions(max_new_tokens=TOKENS)}
    return [made[0] for made in decode(model.engine, logits_BV, cache, **how)]  # type: ignore[arg-type]


def _logits(model: Pipeline, prefix_LD: np.ndarray, question: str, clips: int, path: Sequence[int]) -> np.ndarray:
    """Logits (L, V) from which each token of an answer is chosen, behind those before it."""
    prompt_LD = np.concatenate([prefix_LD, _asked(model, question, clips)])
    logits_BV, cache = prefill(model.engine, [prompt_LD])
    if len(path) == 1:
        return logits_BV
    follow_LD = model.engine.embed(path[:-1])
    mask_BL = np.ones((1, len(follow_LD)), np.int64)
    logits_BLV, _ = model.engine.forward(follow_LD[None], mask_BL, cache, every=True)
    return np.concatenate([logits_BV, logits_BLV[0]])


def _asked(model: Pipeline, question: str, clips: int) -> np.ndarray:
    text = model.processor.question(question, clips=clips)
    return model.engine.embed(model.processor.prompt.question(text))
