"""Loads thousands of damaged recordings, to be run by hand after a change in `mellow.audio`.

    python scripts/fuzz_recordings.py RECORDING ... [--count 500] [--seed 0]

Each recording is damaged `--count` times: bytes changed (most often near its beginning), stretches cut out, doubled or
zeroed, its end cut off. A clip or an AudioError in less than 10 s and 1.5 GB of address space beyond what the imports
take is right; anything else is printed with the seed that makes it again. POSIX only.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

from mellow.audio import load
from mellow.errors import AudioError

MEMORY = 1_500_000_000  # bytes
SECONDS = 10
RATE = 16_000


def damaged(data: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(rng.integers(1, rng.choice([3, 30]))):
        at = int(rng.random() ** rng.choice([1, 6]) * len(changed))
        length = int(rng.integers(1, 400))
        match rng.integers(8):
            case 0:
                del changed[at : at + length]
            case 1:
                changed[at:at] = changed[at : at + length]
            case 2:
                changed[at : at + length] = bytes(length)
            case 3:
                changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
            case _:
                changed[at : at + 1] = rng.bytes(1)
        if not changed:
            break
    return bytes(changed[: max(1, int(len(changed) * rng.choice([1, 1, 1, rng.random()])))])


def outcome(data: bytes) -> str:
    """What loading makes of it: "clip", "refused", or something wrong."""
    started = time.monotonic()
    try:
        clip = load(data, RATE, max_seconds=600)
        what = "clip" if np.isfinite(clip.waveform_S).all() and clip.seconds <= 600.001 else "not finite"
    except AudioError as error:
        what = "refused" if str(error).endswith(".") and "\n" not in str(error) else f"message {error}"
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
    return what if time.monotonic() - started < SECONDS / 2 else f"slow ({time.monotonic() - started:.1f} s)"


def run(data: bytes, seed: int, count: int, out: int) -> None:
    """In a child: one line per outcome, written before the next is tried."""
    logging.disable()
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number in range(seed, seed + count):
        signal.alarm(SECONDS)  # kills us
        os.write(out, f"{number}\t{outcome(damaged(data, number))}\n".encode(errors="replace"))
    os.write(out, f"peak\t{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000} MB\n".encode())
    os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = 0
    for path in arguments.recordings:
        data, seed, end = path.read_bytes(), arguments.seed, arguments.seed + arguments.count
        totals: collections.Counter[str] = collections.Counter()
        peak = ""
        load(data, RATE)
        while seed < end:
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reading)
                run(data, seed, end - seed, writing)
            os.close(writing)
            with os.fdopen(reading, errors="replace") as lines:
                for line in lines:
                    number, _, what = line.rstrip("\n").partition("\t")
                    if number == "peak":
                        peak = what
                        continue
                    seed = int(number) + 1
                    totals[what] += 1
                    if what not in ("clip", "refused"):
                        print(f"{path.name} seed {number}: {what}", flush=True)
            status = os.waitpid(child, 0)[1]
            if status:
                totals["killed"] += 1
                print(f"{path.name} seed {seed}: killed by signal {os.WTERMSIG(status)}", flush=True)
                seed += 1
        wrong += sum(count for what, count in totals.items() if what not in ("clip", "refused"))
        print(f"{path.name}: {dict(totals)}, peak {peak}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
