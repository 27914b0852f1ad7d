"""Time from clip to answer, stage by stage, for each precision side by side.

    python benchmarks/answer.py [CLIP] [--model mini] [--dtype float32 --dtype int8] [--repeats 7]

Prints medians of interleaved repeats: loading, decoding and log-mel, encoding, prefill (audio prefix and question),
seconds per token, the whole first answer and a second question about the same clip, and their ratio.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import mellow
from mellow.answer.decode import DecodingOptions, decode, prefill

ROOT = Path(__file__).resolve().parent.parent
FIRST, SECOND = "What sound is this?", "Where might this be?"
TOKENS = 20


def measure(model: mellow.Mellow, clip: Path, times: dict[str, list[float]]) -> None:
    """One pass over all stages; the clip is encoded again each time."""
    clock = time.perf_counter
    began = clock()
    features = model.processor.features(model.processor.clip(clip))
    decoded = clock()
    for mel_FM in features:
        model.engine.encode(mel_FM)
    encoded = clock()
    audio = model.encode(clip)
    prefixed = clock()
    logits, cache = prefill(model.engine, [model._question(FIRST, (), 1)], audio.cache)
    prefilled = clock()
    made = list(decode(model.engine, logits, cache, stop_ids=(), decoding=DecodingOptions(max_new_tokens=TOKENS)))
    decoded_tokens = clock()
    times["decode and log-mel"].append(decoded - began)
    times["encode"].append(encoded - decoded)
    times["prefix prefill"].append(prefixed - encoded - (encoded - began))
    times["question prefill"].append(prefilled - prefixed)
    times["per token"].append((decoded_tokens - prefilled) / len(made))
    first = audio.ask(FIRST, decoding=DecodingOptions(max_new_tokens=TOKENS)).seconds
    times["first answer"].append(first)
    times["second answer"].append(audio.ask(SECOND, decoding=DecodingOptions(max_new_tokens=TOKENS)).seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=ROOT / "examples" / "siren.flac")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--dtype", action="append", default=[])
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    dtypes = args.dtype or ["float32", "bfloat16", "int8"]
    times: dict[str, dict[str, list[float]]] = {dtype: defaultdict(list) for dtype in dtypes}
    models = {}
    for dtype in dtypes:
        began = time.perf_counter()
        models[dtype] = mellow.load(args.model, dtype=dtype)
        times[dtype]["load"].append(time.perf_counter() - began)
        measure(models[dtype], args.clip, defaultdict(list))  # warm-up, not counted
    for _ in range(args.repeats):
        for dtype in dtypes:
            measure(models[dtype], args.clip, times[dtype])
    table = Table(
        "stage",
        *(f"{dtype}, ms" for dtype in dtypes),
        f"{dtypes[0]} / {dtypes[-1]}",
        title=f"{args.clip.name}, {platform.processor() or platform.machine()}",
    )
    for stage in times[dtypes[0]]:
        medians = [1000 * statistics.median(times[dtype][stage]) for dtype in dtypes]
        table.add_row(stage, *(f"{m:.1f}" for m in medians), f"{medians[0] / medians[-1]:.2f}")
    for dtype in dtypes:
        share = np.median(times[dtype]["second answer"]) / np.median(times[dtype]["first answer"])
        rate = 1 / statistics.median(times[dtype]["per token"])
        table.caption = f"{table.caption or ''} {dtype}: second/first answer {share:.2f}, {rate:.0f} tokens a second."
    Console().print(table)


if __name__ == "__main__":
    main()
