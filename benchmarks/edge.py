"""How fast Mellow answers on two cores without torch, beside torch, transformers, the original's way and llama.cpp.

    python benchmarks/edge.py [--model mini --model published] [--repeats 5] [--threads 2] [--markdown FILE]

The systems take turns, the numbers are medians. `published` has the published sizes (two clips, 64 tokens; see
`benchmarks/engine.py`), `mini` is the bundled model (one clip of 10 s, 20 tokens); all tokens are made, nothing stops
early. llama.cpp takes part where llama-cpp-python is installed, with random weights of the same sizes, and reads as
many tokens as ours has rows. Roofline: the time in which this machine reads the weights that a token needs at the
bandwidth measured here (keys and values are a few percent more); a system's share of it is how near it comes.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from engine import QUESTION, Sheet, Times, generate, machine, ours, recompute, times, waveform, write_model
from rich.console import Console

import mellow
from mellow.answer.facade import Mellow
from mellow.answer.load import model_directory
from mellow.audio import CED
from mellow.engines.onnx.engine import OnnxEngine
from mellow.export.export import export
from mellow.types import Clip

PRECISIONS = ("fp32", "int8", "int4")
PEERS = {"llama.cpp Q8_0": gguf.GGMLQuantizationType.Q8_0, "llama.cpp Q4_0": gguf.GGMLQuantizationType.Q4_0}
TASKS = {"published": (2, 64), "mini": (1, 20)}  # clips, tokens
BANDWIDTH_BYTES = 1 << 29

Run = Callable[[int], Times]  # tokens -> times of one answer


@dataclass(frozen=True)
class System:
    """A way of answering; token_bytes: what it reads for a token, beside keys and values."""

    run: Run
    token_bytes: float


# --- the ways ---------------------------------------------------------------------------------------------------------


def on_torch(directory: Path, dtype: str, way: Callable[..., Times], clips: list[list[Clip]]) -> System:
    loaded = mellow.load(directory, engine="torch", device="cpu", dtype=dtype)
    model = loaded.engine.model.language_model  # type: ignore[attr-defined]
    held = sum(p.numel() * p.element_size() for p in [*model.parameters(), *model.buffers()])
    return System(lambda tokens: way(loaded, clips, tokens), held)


def on_graphs(loaded: Mellow, directory: Path, threads: int, clips: list[list[Clip]]) -> System:
    graphs = dataclasses.replace(loaded, engine=OnnxEngine.load(directory, threads=threads))
    return System(lambda tokens: ours(graphs, clips, tokens), (directory / "decoder.weights").stat().st_size)


def on_llama_cpp(path: Path, threads: int, rows: int) -> System:
    """llama.cpp reading as many tokens as our prompt has rows; it hears nothing."""
    import llama_cpp

    llama = llama_cpp.Llama(str(path), n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False)

    def run(tokens: int) -> Times:
        llama.reset()
        began = time.perf_counter()
        llama.eval(list(range(3, 3 + rows)))
        marks = [began, time.perf_counter()]
        for token in range(tokens - 1):
            llama.eval([3 + token])
            marks.append(time.perf_counter())
        return times(began, marks)

    return System(run, path.stat().st_size)


def write_gguf(path: Path, text: Any, kind: gguf.GGMLQuantizationType) -> None:
    """A random Llama of these sizes without a vocabulary."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    head_width = text.head_dim or text.hidden_size // text.num_attention_heads
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(text.vocab_size)
    writer.add_context_length(2048)
    writer.add_embedding_length(text.hidden_size)
    writer.add_block_count(text.num_hidden_layers)
    writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count(text.num_attention_heads)
    writer.add_head_count_kv(text.num_key_value_heads)
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    writer.add_rope_dimension_count(head_width)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = (columns**-0.5 * rng.standard_normal((rows, columns))).astype(np.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)

    width, inner = text.hidden_size, text.intermediate_size
    queries, keys = (n * head_width for n in (text.num_attention_heads, text.num_key_value_heads))
    matrix("token_embd", text.vocab_size, width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    shapes = {"attn_q": (queries, width), "attn_k": (keys, width), "attn_v": (keys, width)}
    shapes |= {"attn_output": (width, queries), "ffn_gate": (inner, width), "ffn_up": (inner, width)}
    shapes |= {"ffn_down": (width, inner)}
    for layer in range(text.num_hidden_layers):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(width, np.float32))
        for name, (rows, columns) in shapes.items():
            matrix(f"blk.{layer}.{name}", rows, columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def systems_of(name: str, folder: Path, threads: int, only: Sequence[str]) -> dict[str, System]:
    """All ways of answering with one model; its graphs and the peers' files are written into the folder."""
    directory = folder / name
    if name == "published":
        write_model(directory)
    else:
        directory = model_directory(name)
    loaded = mellow.load(directory, engine="torch", device="cpu")
    model = loaded.engine.model  # type: ignore[attr-defined]
    clips = [[clip_of(loaded, seed) for seed in range(TASKS[name][0])]]
    makers: dict[str, Callable[[], System]] = {
        "original's recomputation": lambda: on_torch(directory, "float32", recompute, clips),
        "transformers bfloat16": lambda: on_torch(directory, "bfloat16", generate, clips),
        "torch bfloat16": lambda: on_torch(directory, "bfloat16", ours, clips),
    }
    for precision in PRECISIONS:
        graphs = folder / f"{name}-{precision}"
        if wanted(f"graphs {precision}", only):
            export(model, graphs, tokenizer=directory / "tokenizer.json", precision=precision)
        makers[f"graphs {precision}"] = lambda graphs=graphs: on_graphs(loaded, graphs, threads, clips)  # type: ignore[misc]
    if importlib.util.find_spec("llama_cpp"):
        rows = len(loaded.encode(*clips[0]).prefixes[0]) + len(loaded._question(QUESTION, (), 1))
        for peer, kind in PEERS.items():
            path = folder / f"{name}-{kind.name}.gguf"
            if wanted(peer, only):
                write_gguf(path, model.config.text_config, kind)
            makers[peer] = lambda path=path: on_llama_cpp(path, threads, rows)  # type: ignore[misc]
    return {way: make() for way, make in makers.items() if wanted(way, only)}


def wanted(way: str, only: Sequence[str]) -> bool:
    return not only or any(part in way for part in only)


def clip_of(loaded: Mellow, seed: int) -> Clip:
    """Ten seconds of noise that swells and fades."""
    clip = waveform(seed)
    rate = loaded.processor.front_end.sample_rate
    return clip if rate == clip.sample_rate else Clip(clip.waveform_S[:: clip.sample_rate // rate], CED.sample_rate)


# --- measuring --------------------------------------------------------------------------------------------------------


def bandwidth(threads: int) -> float:
    """Bytes a second that this many threads read, the best of five."""
    parts = np.array_split(np.ones(BANDWIDTH_BYTES // 4, np.float32), threads)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            began = time.perf_counter()
            list(pool.map(np.max, parts))
            best = max(best, BANDWIDTH_BYTES / (time.perf_counter() - began))
    return best


def take_turns(systems: dict[str, System], *, tokens: int, repeats: int) -> dict[str, Times]:
    """Median times of each system; the first turn, of two tokens, warms up."""
    runs: dict[str, list[Times]] = {name: [] for name in systems}
    for turn in range(repeats + 1):
        for name, system in systems.items():
            found = system.run(tokens if turn else 2)
            if turn:
                runs[name].append(found)
    return {
        name: Times(*(statistics.median(getattr(run, field.name) for run in all_runs) for field in fields(Times)))
        for name, all_runs in runs.items()
    }


def command_line(repeats: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds of `mellow --help` (the start-up) and of a whole `mellow ask` with the bundled model."""
    clip = Path(__file__).parents[1] / "examples" / "siren_then_rain.flac"
    start = [sys.executable, "-c", "from mellow.cli import main; main()"]
    for name, words in (("mellow --help", ["--help"]), ("mellow ask", ["ask", str(clip), "What do you hear?"])):
        found = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            subprocess.run([*start, *words], check=True, capture_output=True)
            found.append(time.perf_counter() - began)
        yield name, found[1:]


def second_questions(folder: Path, name: str, threads: int, only: Sequence[str]) -> list[list[str]]:
    """Seconds of a first and of a second question about the same clips, and peak memory; see `edge_alone.py`."""
    rows = []
    for precision in PRECISIONS:
        if wanted(f"graphs {precision}", only):
            words = [str(folder / f"{name}-{precision}"), *map(str, (*TASKS[name], threads))]
            script = Path(__file__).with_name("edge_alone.py")
            done = subprocess.run([sys.executable, str(script), *words], capture_output=True, check=True)
            found = json.loads(done.stdout)
            first, second, peak = found["first"], found["second"], found["megabytes"]
            rows.append(
                [f"graphs {precision}", f"{first:.2f}", f"{second:.2f}", f"{second / first:.0%}", f"{peak:.0f}"]
            )
    return rows


def sheets_of(name: str, folder: Path, options: argparse.Namespace, speed: float) -> Iterator[Sheet]:
    only = options.only or []
    clips, tokens = TASKS[name]
    tokens = options.tokens or tokens
    systems = systems_of(name, folder, options.threads, only)
    found = take_turns(systems, tokens=tokens, repeats=options.repeats)
    slowest = next((run.total for way, run in found.items() if way.startswith("original")), None)
    rows = []
    for way, run in found.items():
        least = systems[way].token_bytes / speed
        numbers = [f"{1000 * run.encode:.0f}", f"{1000 * run.prefill:.0f}", f"{1000 * run.per_token:.1f}"]
        numbers += [f"{1000 * least:.1f}", f"{least / max(run.per_token, 1e-9):.0%}", f"{run.total:.2f}"]
        rows.append([way, *numbers, f"{slowest / run.total:.1f}" if slowest else "-"])
    columns = (
        "system",
        "encode ms",
        "prefill ms",
        "token ms",
        "roofline ms",
        "of roofline",
        "total s",
        "original / this",
    )
    yield Sheet(f"{name}: {clips} clips of 10 s, {tokens} tokens", columns, rows)
    columns = ("two questions, same clips", "first s", "second s", "share", "peak MB")
    yield Sheet(
        f"{name}: a second question, and memory", columns, second_questions(folder, name, options.threads, only)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", choices=list(TASKS), help="default: both")
    parser.add_argument("--only", action="append", help="systems whose names hold this; default: all")
    parser.add_argument("--tokens", type=int, help="of each answer, instead of the model's own number")
    parser.add_argument("--repeats", type=int, default=5, help="turns that are measured, behind one to warm up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    speed = bandwidth(options.threads)
    heading = f"{machine()}; {speed / 1e9:.1f} GB/s read; medians of {options.repeats} turns; {os.cpu_count()} cores."
    with tempfile.TemporaryDirectory() as folder:
        models = options.model or list(TASKS)
        sheets = [sheet for name in models for sheet in sheets_of(name, Path(folder), options, speed)]
    if "mini" in models:
        rows = [[name, f"{statistics.median(found):.2f}"] for name, found in command_line(options.repeats)]
        sheets.append(Sheet("From the command line", ("command", "seconds"), rows))
    console = Console(width=max(120, Console().width))
    for sheet in sheets:
        sheet.show(console)
    lines = [heading, "", *(line for sheet in sheets for line in sheet.markdown())]
    if options.markdown:
        options.markdown.write_text("\n".join(lines), encoding="utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
