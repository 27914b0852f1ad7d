"""Two questions about the same clips in a process without torch: seconds and peak memory, as JSON; for `edge.py`.

Each answer is as long as asked for, whatever the model says; the first includes encoding the clips.

python benchmarks/edge_alone.py GRAPHS_DIR CLIPS TOKENS THREADS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

import mellow
from mellow.answer.decode import DecodingOptions, decode
from mellow.answer.facade import EncodedAudio
from mellow.types import Clip

QUESTIONS = ("What do you hear?", "Describe the sounds in one sentence.")
SECONDS = 10


def answer(audio: EncodedAudio, question: str, tokens: int) -> float:
    """Seconds to prefill a question and decode so many tokens."""
    began = time.perf_counter()
    for logits_BV, cache in audio._read(audio.model._question(question, (), len(audio.clips))):
        for _ in decode(
            audio.model.engine, logits_BV, cache, stop_ids=(), decoding=DecodingOptions(max_new_tokens=tokens)
        ):
            pass
    return time.perf_counter() - began


def main() -> None:
    directory, clips, tokens, threads = sys.argv[1], *map(int, sys.argv[2:])
    loaded = mellow.load(directory, threads=threads)
    rate = loaded.processor.front_end.sample_rate
    found: list[float] = []
    for turn in range(2):  # the first warms up
        rng = np.random.default_rng(turn)
        noise = [Clip(0.1 * rng.standard_normal(SECONDS * rate).astype(np.float32), rate) for _ in range(clips)]
        began = time.perf_counter()
        audio = loaded.encode(*noise)
        encoding = time.perf_counter() - began
        first, second = (answer(audio, question, tokens) for question in QUESTIONS)
        found = [encoding + first, second]
    status = Path("/proc/self/status")  # Linux; getrusage would tell the peak of our parent, where that is larger
    peak = next((x.split()[1] for x in status.read_text().splitlines() if x.startswith("VmHWM")), "0")
    print(json.dumps({"first": found[0], "second": found[1], "megabytes": int(peak) * 1024 / 1e6}))


if __name__ == "__main__":
    main()
