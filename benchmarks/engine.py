"""How fast the published Mellow answers: the original's way, transformers' `generate`, and ours at each precision.

    python benchmarks/engine.py [--tokens 64] [--repeats 3] [--batch 1 --batch 4] [--markdown docs/performance.md]

Weights of full size: those of the parity kit (MELLOW_PARITY_KIT, default ../shared/parity), else random ones of these
sizes; speed does not depend on them, so nothing stops early and every system makes all tokens. The systems take turns,
the numbers are medians. Peak memory is that of a process of its own, which loads one model and answers once.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import mellow
from mellow.answer.decode import DecodingOptions, decode, prefill
from mellow.answer.facade import Mellow
from mellow.audio import HTSAT
from mellow.checkpoints.full import write_full
from mellow.importers.convert import TOKENIZER, import_checkpoint, published_config
from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.types import Clip

KIT = Path(os.environ.get("MELLOW_PARITY_KIT") or Path(__file__).parents[2] / "shared" / "parity")
QUESTION = "what can you infer about the surroundings from the audio?"
OPTIONS = ("a dog barks", "rain falls on a roof", "a siren passes", "people talk")
MEMORY_TOKENS = 4  # of the original's way, whose memory hardly grows with them
PAIRS = 4  # pairs of clips for the change that a precision makes


@dataclass(frozen=True)
class Times:
    """Seconds of one run: encoding two clips per answer, prefill, each further token, and all together."""

    encode: float
    prefill: float
    per_token: float
    total: float


Run = Callable[[Mellow, Sequence[Sequence[Clip]], int], Times]


@dataclass(frozen=True)
class System:
    """One way of answering with one precision of the language model."""

    name: str
    dtype: str
    run: Run


# --- the three ways -------------------------------------------------------------------------------------------------


def prompts_of(loaded: Mellow, clips: Sequence[Sequence[Clip]]) -> list[np.ndarray]:
    """The whole prompt (389, D) of each answer: both clips encoded, and the question."""
    views = [loaded._encode(*pair)[0] for pair in clips]
    question_LD = loaded._question(QUESTION, (), 2)
    return [np.concatenate([loaded._prefix(view.clips), question_LD]) for view in views]


def model_of(loaded: Mellow) -> Any:
    """transformers' language model behind an engine."""
    return loaded.engine.model.language_model  # type: ignore[attr-defined]


@torch.inference_mode()
def recompute(loaded: Mellow, clips: Sequence[Sequence[Clip]], tokens: int) -> Times:
    """Recompute the whole sequence for each token, as the original does."""
    began = time.perf_counter()
    prompts = prompts_of(loaded, clips)
    model = model_of(loaded)
    marks = [time.perf_counter()]
    embeds_BLD = torch.from_numpy(np.stack(prompts)).to(model.dtype)
    for _ in range(tokens):
        logits_BLV = model(inputs_embeds=embeds_BLD, use_cache=False).logits
        next_B1D = model.get_input_embeddings()(logits_BLV[:, -1:].argmax(-1))
        embeds_BLD = torch.cat([embeds_BLD, next_B1D], 1)
        marks.append(time.perf_counter())
    return times(began, marks)


class Clock(transformers.StoppingCriteria):  # type: ignore[misc]
    """Notes when each token was there."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.marks.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool)


@torch.inference_mode()
def generate(loaded: Mellow, clips: Sequence[Sequence[Clip]], tokens: int) -> Times:
    """transformers' `generate` with its cache."""
    began = time.perf_counter()
    prompts = prompts_of(loaded, clips)
    model, clock = model_of(loaded), Clock()
    marks = [time.perf_counter()]
    embeds_BLD = torch.from_numpy(np.stack(prompts)).to(model.dtype)
    mask_BL = torch.ones(embeds_BLD.shape[:2], dtype=torch.int64)
    model.generate(
        inputs_embeds=embeds_BLD,
        attention_mask=mask_BL,
        do_sample=False,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=0,
        stopping_criteria=[clock],
    )
    return times(began, marks + clock.marks)


def ours(loaded: Mellow, clips: Sequence[Sequence[Clip]], tokens: int) -> Times:
    """The decoding loop of `mellow.answer`."""
    began = time.perf_counter()
    prompts = prompts_of(loaded, clips)
    marks = [time.perf_counter()]
    logits_BV, cache = prefill(loaded.engine, prompts)
    decoding = DecodingOptions(max_new_tokens=tokens)
    marks += [time.perf_counter() for _ in decode(loaded.engine, logits_BV, cache, stop_ids=(), decoding=decoding)]
    return times(began, marks)


def times(began: float, marks: Sequence[float]) -> Times:
    """marks: when the clips were encoded, then when each token was there."""
    later = (marks[-1] - marks[1]) / max(1, len(marks) - 2)
    return Times(marks[0] - began, marks[1] - marks[0], later, marks[-1] - began)


SYSTEMS = {
    system.name: system
    for system in (
        System("(a) recompute, float32", "float32", recompute),
        System("(b) generate, float32", "float32", generate),
        System("(b) generate, bfloat16", "bfloat16", generate),
        System("(c) mellow, float32", "float32", ours),
        System("(c) mellow, bfloat16", "bfloat16", ours),
        System("(c) mellow, int8", "int8", ours),
    )
}


# --- what they work on ----------------------------------------------------------------------------------------------


def waveform(seed: int, seconds: float = 10.0) -> Clip:
    """Noise that swells and fades: the contents do not matter for speed."""
    rng = np.random.default_rng(seed)
    time_S = np.arange(round(seconds * HTSAT.sample_rate)) / HTSAT.sample_rate
    swell_S = np.sin(2 * np.pi * rng.uniform(0.1, 2.0) * time_S)
    tone_S = np.sin(2 * np.pi * rng.uniform(80, 4000) * time_S)
    noise_S = rng.standard_normal(len(time_S))
    return Clip((0.2 * swell_S * tone_S + 0.02 * noise_S).astype(np.float32), HTSAT.sample_rate)


def write_model(directory: Path) -> str:
    """Write a full-size model directory; returns where its weights come from."""
    config = published_config()
    if not (KIT / "weights.py").is_file():
        torch.manual_seed(0)
        state = MellowForConditionalGeneration(MellowConfig.of(config)).state_dict()
        write_full(directory, config=config, state=arrays(state), tokenizer=TOKENIZER)
        return "random weights"
    spec = importlib.util.spec_from_file_location("parity_weights", KIT / "weights.py")
    assert spec is not None and spec.loader is not None
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    state = import_checkpoint({name: torch.from_numpy(array) for name, array in weights.tensors().items()}, config)
    write_full(directory, config=config, state=arrays(state), tokenizer=TOKENIZER)
    return "weights of the parity kit"


def arrays(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in state.items()}


def machine() -> str:
    """The processor, its cores in use, and the versions that count."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        name = next((x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x), name)
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, Python {platform.python_version()}"
    return f"{name}, {torch.get_num_threads()} threads, {versions}"


# --- measuring ------------------------------------------------------------------------------------------------------


def measure(
    models: dict[str, Mellow],
    systems: Sequence[System],
    *,
    batch: int,
    tokens: int,
    repeats: int,
    tick: Callable[[], None],
) -> dict[str, Times]:
    """Median times of each system at one batch size; the runs of the systems are interleaved."""
    runs: dict[str, list[Times]] = {system.name: [] for system in systems}
    clips = [[waveform(2 * b), waveform(2 * b + 1)] for b in range(batch)]
    for turn in range(repeats + 1):  # the first turn warms up
        for system in systems:
            found = system.run(models[system.dtype], clips, tokens if turn else 2)
            tick()
            if turn:
                runs[system.name].append(found)
    return {
        name: Times(*(statistics.median(getattr(run, field.name) for run in all_runs) for field in fields(Times)))
        for name, all_runs in runs.items()
    }


def measure_repeats(models: dict[str, Mellow], repeats: int) -> dict[str, list[float]]:
    """Seconds to the first token, and to a choice of four, of a first and of a second question about the same clips."""
    rows: dict[str, list[float]] = {}
    one = DecodingOptions(max_new_tokens=1)
    for dtype, loaded in models.items():
        found: list[list[float]] = []
        for _ in range(repeats):
            with loaded.encode(waveform(0), waveform(1)) as audio:
                token = [audio.ask(QUESTION, decoding=one).seconds for _ in range(2)]
            with loaded.encode(waveform(0), waveform(1)) as audio:
                choice = [audio.ask(QUESTION, choices=OPTIONS).seconds for _ in range(2)]
            found.append([*token, *choice])
        rows[dtype] = [statistics.median(column) for column in zip(*found, strict=True)]
    return rows


def measure_change(models: dict[str, Mellow], tokens: int) -> dict[str, dict[str, float]]:
    """What a precision changes against float32: logits, greedy tokens on float32's path, choices."""
    rows: dict[str, dict[str, list[float]]] = {dtype: {} for dtype in models if dtype != "float32"}
    exact = models["float32"]
    for n in range(PAIRS):
        clips = [[waveform(100 + 2 * n), waveform(101 + 2 * n)]]
        prompts = prompts_of(exact, clips)
        logits_BV, cache = prefill(exact.engine, prompts)
        decoding = DecodingOptions(max_new_tokens=tokens)
        path = [made[0] for made in decode(exact.engine, logits_BV, cache, stop_ids=(), decoding=decoding)]
        choice = exact.ask(clips[0][0], QUESTION, audio2=clips[0][1], choices=OPTIONS)
        for dtype, row in rows.items():
            other = models[dtype]
            other_BV, other_cache = prefill(other.engine, prompts)
            follow_LD = other.engine.embed(path)
            mask_BL = np.ones((1, len(path)), np.int64)
            follow_BLV, _ = other.engine.forward(follow_LD[None], mask_BL, other_cache, every=True)
            tokens_of_other = [int(other_BV[0].argmax()), *follow_BLV[0, :-1].argmax(-1).tolist()]
            other_choice = other.ask(clips[0][0], QUESTION, audio2=clips[0][1], choices=OPTIONS)
            change = np.subtract(other_choice.probabilities, choice.probabilities)
            for name, value in {
                "logits": float(np.linalg.norm(other_BV - logits_BV) / np.linalg.norm(logits_BV)),
                "tokens": float(np.mean(np.equal(tokens_of_other, path))),
                "choices": float(other_choice.choice == choice.choice),
                "probabilities": float(np.abs(change).max()),
            }.items():
                row.setdefault(name, []).append(value)
    return {dtype: {name: statistics.mean(values) for name, values in row.items()} for dtype, row in rows.items()}


def peak_memory(system: System, directory: Path, *, batch: int, tokens: int) -> float:
    """Most memory, in MB, of a process that loads this one model and answers once."""
    tokens = min(tokens, MEMORY_TOKENS) if system.run is recompute else tokens
    words = ["--model", str(directory), "--alone", system.name, "--batch", str(batch), "--tokens", str(tokens)]
    done = subprocess.run(
        [sys.executable, __file__, *words, "--threads", str(torch.get_num_threads())], capture_output=True, check=True
    )
    return float(json.loads(done.stdout)["megabytes"])


def answer_alone(system: System, directory: Path, *, batch: int, tokens: int) -> None:
    """In a process of its own: answer once and print the peak memory as JSON."""
    loaded = mellow.load(directory, engine="torch", device="cpu", dtype=system.dtype)
    system.run(loaded, [[waveform(2 * b), waveform(2 * b + 1)] for b in range(batch)], tokens)
    status = Path("/proc/self/status")  # Linux; getrusage would tell the peak of our parent, where that is larger
    peak = next((x.split()[1] for x in status.read_text().splitlines() if x.startswith("VmHWM")), "0")
    print(json.dumps({"megabytes": int(peak) * 1024 / 1e6}))


# --- reporting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A table for people, on the terminal or as markdown."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]

    def show(self, console: Console) -> None:
        table = Table(title=self.title, title_justify="left")
        for n, column in enumerate(self.columns):
            table.add_column(column, justify="left" if n == 0 else "right", no_wrap=n == 0)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> Iterator[str]:
        yield f"### {self.title}\n"
        yield f"| {' | '.join(self.columns)} |"
        yield f"|{'|'.join(['---', *['---:'] * (len(self.columns) - 1)])}|"
        yield from (f"| {' | '.join(row)} |" for row in self.rows)
        yield ""


def speed_sheet(found: dict[str, Times], memory: dict[str, float], *, batch: int, tokens: int) -> Sheet:
    columns = (
        "system",
        "encode s",
        "prefill s",
        "per token ms",
        "total s",
        "answers a minute",
        "(a) / this",
        "peak MB",
    )
    slowest = next((run.total for name, run in found.items() if name.startswith("(a)")), None)
    rows = [
        [
            name,
            f"{run.encode:.2f}",
            f"{run.prefill:.2f}",
            f"{1000 * run.per_token:.1f}",
            f"{run.total:.2f}",
            f"{60 * batch / run.total:.1f}",
            f"{slowest / run.total:.1f}" if slowest else "-",
            f"{memory[name]:.0f}" if name in memory else "-",
        ]
        for name, run in found.items()
    ]
    return Sheet(f"Batch {batch}, {tokens} new tokens, two clips of 10 s", columns, rows)


def repeats_sheet(found: dict[str, list[float]]) -> Sheet:
    columns = (
        "mellow",
        "first token s",
        "of a 2nd",
        "share",
        "choice of four s",
        "of a 2nd",
        "share",
    )
    rows = [
        [dtype, f"{a:.2f}", f"{b:.2f}", f"{b / a:.0%}", f"{c:.2f}", f"{d:.2f}", f"{d / c:.0%}"]
        for dtype, (a, b, c, d) in found.items()
    ]
    return Sheet("Two questions about the same two clips", columns, rows)


def change_sheet(found: dict[str, dict[str, float]], tokens: int) -> Sheet:
    columns = ("mellow", "logits, relative", "same greedy tokens", "same choices", "largest change of a probability")
    rows = [
        [
            dtype,
            f"{row['logits']:.1e}",
            f"{row['tokens']:.1%}",
            f"{row['choices']:.0%}",
            f"{row['probabilities']:.3f}",
        ]
        for dtype, row in found.items()
    ]
    return Sheet(f"Against float32, {PAIRS} pairs of clips, {tokens} tokens each", columns, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of each answer")
    parser.add_argument("--repeats", type=int, default=3, help="turns that are measured, behind one to warm up")
    parser.add_argument("--batch", type=int, action="append", help="answers made at once (default: 1 and 4)")
    parser.add_argument("--only", action="append", choices=list(SYSTEMS), help="leave the other systems out")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--no-memory", action="store_true", help="skip the processes that measure peak memory")
    parser.add_argument("--model", type=Path, help="a full-size model directory, instead of writing one")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    parser.add_argument("--alone", choices=list(SYSTEMS), help=argparse.SUPPRESS)
    return parser.parse_args()


def benchmark(options: argparse.Namespace, directory: Path, source: str) -> list[Sheet]:
    systems = [SYSTEMS[name] for name in options.only or SYSTEMS]
    batches: list[int] = options.batch or [1, 4]
    dtypes = {"float32": None} | {system.dtype: None for system in systems}
    models = {dtype: mellow.load(directory, engine="torch", device="cpu", dtype=dtype) for dtype in dtypes}
    console = Console(stderr=True)
    console.print(f"{machine()}; {source}")
    sheets = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("taking turns", total=len(batches) * len(systems) * (options.repeats + 1))
        for batch in batches:
            found = measure(
                models,
                systems,
                batch=batch,
                tokens=options.tokens,
                repeats=options.repeats,
                tick=lambda: progress.advance(task),
            )
            memory = {}
            if not options.no_memory:
                memory = {s.name: peak_memory(s, directory, batch=batch, tokens=options.tokens) for s in systems}
            sheets.append(speed_sheet(found, memory, batch=batch, tokens=options.tokens))
    sheets.append(repeats_sheet(measure_repeats(models, options.repeats)))
    if len(models) > 1:
        sheets.append(change_sheet(measure_change(models, options.tokens), options.tokens))
    return sheets


def main() -> None:
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.alone:
        batch = (options.batch or [1])[0]
        answer_alone(SYSTEMS[options.alone], options.model, batch=batch, tokens=options.tokens)
        return
    with tempfile.TemporaryDirectory() as folder:
        directory, source = options.model, str(options.model)
        if directory is None:
            directory = Path(folder) / "model"
            source = write_model(directory)
        sheets = benchmark(options, directory, source)
    console = Console(width=max(120, Console().width))
    for sheet in sheets:
        sheet.show(console)
    lines = [f"{machine()}; {source}; medians of {options.repeats} turns.", ""]
    lines += [line for sheet in sheets for line in sheet.markdown()]
    if options.markdown:
        options.markdown.write_text("\n".join(lines), encoding="utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
