"""Measure a model on development recordings: the table of docs/log.md.

    python scripts/measure_development.py data/mini --manifest MANIFEST --model mini --out runs/measured.jsonl

Every item is a closed question whose options are scored with and without the audio; both scores are kept per item, so
that tables for any prior weight come from one run. Chance is one over the number of options.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import mellow
from mellow.answer.decode import DecodingOptions
from mellow.data.scenes.composition import read_held_out
from mellow.data.scenes.phrases import sounds
from mellow.data.scenes.scene import Scene
from mellow.data.scenes.store import audio_path, read_scenes
from mellow.types import Clip

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
DULL = frozenset(("a", "an", "the", "of", "is", "are", "on", "in", "at", "to", "and", "or", "with", "it", "someon"))


@dataclass(frozen=True)
class Item:
    test: str
    audio: tuple[str, ...]
    question: str
    choices: tuple[str, ...]
    answer: str


def items(scenes: list[Scene], esc: set[str], held_out: frozenset[str], limit: int) -> Iterator[Item]:
    """All tests, each at most `limit` items, drawn from a fixed seed."""
    rng = random.Random(7)
    names = {key: sound.name for key, sound in sounds().items()}
    alone = [s for s in scenes if "-rec-" in s.name and s.events]
    known = [s for s in alone if s.split == "development" and s.events[0].sound in esc]
    never = [s for s in alone if s.split == "held_out" and s.events[0].sound in held_out]
    for test, pool, vocabulary, options in (
        ("4 of 50 known sounds", known, esc, 4),
        ("50 known sounds", known, esc, 50),
        ("4 of 20 sounds never trained", never, held_out, 4),
        ("4 of 50, audio replaced by noise", known, esc, 4),
    ):
        for scene in balanced(pool, limit if options < 50 else limit // 2, rng):
            right = scene.events[0].sound
            wrong = rng.sample(sorted(vocabulary - {right}), options - 1)
            choices = [names[key] for key in (right, *wrong)]
            rng.shuffle(choices)
            audio = "noise" if "noise" in test else audio_path(scene.name)
            yield Item(test, (audio,), "What sound is this?", tuple(choices), names[right])
    pairs = [s for s in scenes if s.split == "development" and len(s.foreground) == 2 and apart(s)]
    for scene in pairs[:limit]:
        first, second = scene.foreground
        choices = [names[first.sound], names[second.sound]]
        rng.shuffle(choices)
        yield Item(
            "order of two sounds",
            (audio_path(scene.name),),
            "Which sound comes first?",
            tuple(choices),
            names[first.sound],
        )
    for _ in range(limit):
        one, two = rng.sample(known, 2)
        if one.events[0].sound == two.events[0].sound:
            continue
        wanted = rng.randrange(2)
        name = names[(one, two)[wanted].events[0].sound]
        choices = ("the first", "the second")
        yield Item(
            "which of two clips",
            (audio_path(one.name), audio_path(two.name)),
            f"Which clip contains this sound: {name}?",
            choices,
            choices[wanted],
        )


def apart(scene: Scene) -> bool:
    first, second = scene.foreground
    return first.end_s <= second.onset_s and first.sound != second.sound


def balanced(pool: list[Scene], limit: int, rng: random.Random) -> list[Scene]:
    """Round robin over the sounds, so that frequent ones do not rule the figure."""
    by_sound: dict[str, list[Scene]] = defaultdict(list)
    for scene in rng.sample(pool, len(pool)):
        by_sound[scene.events[0].sound].append(scene)
    chosen: list[Scene] = []
    while len(chosen) < limit and any(by_sound.values()):
        chosen += [rows.pop() for rows in by_sound.values() if rows]
    return chosen[:limit]


def score(model: mellow.Mellow, item: Item, folder: Path) -> tuple[list[float], list[float]]:
    """Mean log-likelihood of each option with and without the audio."""
    sources = [noise(item) if name == "noise" else folder / name for name in item.audio]
    scores = model.encode(*sources).score(item.question, item.choices)
    return list(scores.with_audio), list(scores.without_audio)


def noise(item: Item) -> Clip:
    rng = np.random.default_rng(zlib.crc32(repr(item).encode()))
    return Clip((0.1 * rng.standard_normal(80_000)).astype(np.float32), 16_000, "noise")


def named(model: mellow.Mellow, scenes: list[Scene], esc: set[str], folder: Path, limit: int) -> tuple[int, int]:
    """How many free answers to "What sound is this?" name the right one of the 50 known sounds best.

    The sound named is the one whose phrases share most with the answer (words weighted by rarity); a tie names none.
    """
    rng = random.Random(11)
    known = [
        s for s in scenes if "-rec-" in s.name and s.split == "development" and s.events and s.events[0].sound in esc
    ]
    chosen = balanced(known, limit, rng)
    vocabulary = {key: phrase_words(key) for key in esc}
    spread = Counter(word for words in vocabulary.values() for word in words)
    questions = [{"audio": folder / audio_path(scene.name), "question": "What sound is this?"} for scene in chosen]
    hits = 0
    for scene, answer in zip(
        chosen, model.ask_many(questions, decoding=DecodingOptions(max_new_tokens=24)), strict=True
    ):
        said = {stem(word) for word in re.findall(r"[a-z]+", answer.text.lower())}
        scores = {key: sum(1 / spread[word] for word in words & said) for key, words in vocabulary.items()}
        best = max(scores.values())
        hits += best > 0 and [key for key, score in scores.items() if score == best] == [scene.events[0].sound]
    return hits, len(chosen)


def phrase_words(key: str) -> set[str]:
    sound = sounds()[key]
    return {stem(word) for word in re.findall(r"[a-z]+", " ".join([sound.name, sound.noun, *sound.verbs]))} - DULL


def stem(word: str) -> str:
    """A crude stem: enough to bring `barks`, `barking` and `bark` together."""
    return re.sub(r"(ing|ed|es|s|e)$", "", word)


def table(rows: list[dict[str, object]]) -> Table:
    out = Table("test", "items", "chance", *(f"prior x {w}" for w in WEIGHTS))
    by_test: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        by_test[str(row["test"])].append(row)
    for test, found in by_test.items():
        shares = []
        for weight in WEIGHTS:
            hits = [
                row["choices"][int(np.argmax(np.array(row["heard"]) - weight * np.array(row["deaf"])))] == row["answer"]  # type: ignore[index]
                for row in found
            ]
            shares.append(f"{100 * np.mean(hits):.1f}")
        chance = 100 / np.mean([len(row["choices"]) for row in found])  # type: ignore[arg-type]
        out.add_row(test, str(len(found)), f"{chance:.0f}", *shares)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that `mellow data compose` has written")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--limit", type=int, default=200, help="items per test")
    parser.add_argument("--out", type=Path, default=Path("runs/measured.jsonl"))
    parser.add_argument("--dtype", default="auto", help="as in mellow.load: int8 (auto), int4, fp16, bfloat16, ...")
    args = parser.parse_args()
    scenes = read_scenes(args.data / "scenes.jsonl")
    esc = {
        e.sound
        for s in scenes
        for e in s.events
        if s.split == "development" and e.recording.startswith(("esc50", "esc10"))
    }
    model = mellow.load(args.model, dtype=args.dtype)
    rows = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w") as file:
        for item in track(list(items(scenes, esc, read_held_out(args.data), args.limit)), description="measuring"):
            heard, deaf = score(model, item, args.data)
            rows.append(
                {
                    "test": item.test,
                    "audio": item.audio,
                    "choices": item.choices,
                    "answer": item.answer,
                    "heard": heard,
                    "deaf": deaf,
                }
            )
            file.write(json.dumps(rows[-1]) + "\n")
    Console(width=140).print(table(rows))
    hits, asked = named(model, scenes, esc, args.data, args.limit)
    print(f"Free answers that name the sound (50 known sounds): {hits} of {asked}, {100 * hits / asked:.1f} %.")


if __name__ == "__main__":
    main()
