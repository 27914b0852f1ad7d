"""From scenes to questions: the three example files, and a report on what they hold."""

from __future__ import annotations

import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mellow.data import report
from mellow.data.json_line import json_object
from mellow.data.scenes.composition import read_held_out
from mellow.data.scenes.scene import Scene
from mellow.data.scenes.store import read_scenes
from mellow.data.tasks import (
    Vocabulary,
    examples_for_pair,
    examples_for_scene,
    examples_without_audio,
    open_vocabulary,
)
from mellow.data.tasks.facets import FACET_OPTIONS, FACETS, facet_distractors, facets_of
from mellow.data.tasks.vocabulary import Ask
from mellow.errors import DataError
from mellow.types import Example

__all__ = ["SPLITS", "balanced", "build", "read_examples", "split_vocabulary", "write_examples"]

SPLITS = ("train", "development", "held_out")
PER_PAIR = 4
SHARING_SHARE = 0.5  # of the pairs share a sound, so that "in both?" has both answers
LABEL_TASKS = frozenset(("yesno", "count", "compare", "time", "entailment", "which", "same", "practice"))
LABEL_ROWS = 30  # of one set of options from which on its answers are balanced
SLACK = 1.1  # how much more often than the rarest an answer may occur
TEXT_FIELDS = ("question", "answer", "task", "group")
LIST_FIELDS = ("audio", "choices", "heard")


def build(
    out_dir: Path, *, per_scene: int = 6, pairs: float = 0.25, word_only: int = 0, seed: int = 0
) -> dict[str, Any]:
    """Write `train.jsonl`, `development.jsonl`, `held_out.jsonl` and `report.json` beside `out_dir/scenes.jsonl`.

    Which sounds only `held_out` may name is in `out_dir/compose.json`.
    per_scene: questions asked of each scene.
    pairs: pairs of clips per scene of a split (0.25: one pair for every four scenes), each asked two questions.
    word_only: rows without audio, for training only.
    seed: equal seeds and scenes give equal files.
    Returns the report. Raises DataError for damaged scenes, or a held-out sound in a scene of another split.
    """
    scenes: dict[str, list[Scene]] = {split: [] for split in SPLITS}
    for scene in read_scenes(out_dir / "scenes.jsonl"):
        if scene.split not in scenes:
            raise DataError(f"The scene {scene.name!r} has the split {scene.split!r}; use one of {', '.join(SPLITS)}.")
        scenes[scene.split].append(scene)
    held_out = read_held_out(out_dir)
    rows: dict[str, list[Example]] = {}
    for split in SPLITS:
        rng = random.Random(f"{seed}:{split}")
        made = _examples(scenes[split], split, rng, held_out=held_out, per_scene=per_scene, pairs=pairs)
        if split == "train":
            made += examples_without_audio(rng, count=word_only, vocabulary=open_vocabulary(held_out))
        rows[split] = _by_group(balanced(made, rng), rng)
        write_examples(out_dir / f"{split}.jsonl", rows[split])
    result = report.report(rows, seed=seed)
    _replace(out_dir / "report.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def split_vocabulary(scenes: Sequence[Scene], split: str, *, held_out: frozenset[str] = frozenset()) -> Vocabulary:
    """The sounds of the split's scenes, as often as they occur in them. Raises DataError for a held-out sound in
    another split than `held_out`."""
    clips, backgrounds, alone, places = [], [], [], []
    for scene in scenes:
        held = sorted({event.sound for event in scene.events})
        if split != "held_out" and (never := held_out.intersection(held)):
            raise DataError(
                f"The scene {scene.name!r} of {split} holds the held-out sound {min(never)!r}; leave it out."
            )
        behind = sorted({event.sound for event in scene.events if event.is_background})
        front = sorted({event.sound for event in scene.foreground})
        clips.append(held)
        backgrounds.append(behind)
        alone.append(front if len(front) == 1 else held if len(held) == 1 else [])
        places.append(behind[:1] or (held if len(held) == 1 else []))
    return _fitted(clips, {"background": backgrounds, "scene": places, **dict.fromkeys(FACETS, alone)}, split)


def _fitted(clips: list[list[str]], purposes: Mapping[str, list[list[str]]], split: str) -> Vocabulary:
    """A vocabulary whose wrong options are as frequent as its right ones, in general and for each kind of question."""
    rng = random.Random(split)
    vocabulary = Vocabulary(Counter(key for held in clips for key in held))
    vocabulary.fit(clips, rng)
    for purpose, contexts in purposes.items():
        words = Vocabulary(Counter(key for held in contexts for key in held), confusable=vocabulary.confusable)
        facet = "place" if purpose == "scene" else purpose
        words.fit(contexts, rng, None if purpose == "background" else _facet_trial(facet))
        if words.keys:
            vocabulary.purposes[purpose] = words
    return vocabulary


def _facet_trial(facet: str) -> Ask:
    def ask(words: Vocabulary, rng: random.Random, key: str, held: Sequence[str]) -> list[str]:
        if facet not in facets_of(words[key]):
            return []
        count = rng.choice(FACET_OPTIONS)
        found = facet_distractors(words, rng, words[key], facet, count, present=held)
        return found if len(found) == count else []

    return ask


def _examples(
    scenes: Sequence[Scene],
    split: str,
    rng: random.Random,
    *,
    held_out: frozenset[str],
    per_scene: int,
    pairs: float,
) -> list[Example]:
    vocabulary = split_vocabulary(scenes, split, held_out=held_out)
    made: list[Example] = []
    for scene in scenes:
        made += examples_for_scene(scene, rng, count=per_scene, vocabulary=vocabulary)
    for first, second in _pairs(scenes, round(pairs * len(scenes)), rng):
        made += examples_for_pair(first, second, rng, count=PER_PAIR, vocabulary=vocabulary)
    return made


def _pairs(scenes: Sequence[Scene], count: int, rng: random.Random) -> Iterator[tuple[Scene, Scene]]:
    """Pairs of different scenes; in about half of them a sound of the first is in the second, too."""
    if len(scenes) < 2:
        return
    holding: dict[str, list[Scene]] = defaultdict(list)
    for scene in scenes:
        for sound in sorted({event.sound for event in scene.events}):
            holding[sound].append(scene)
    for _ in range(count):
        first = rng.choice(scenes)
        sounds = sorted({event.sound for event in first.events})
        among = holding[rng.choice(sounds)] if sounds and rng.random() < SHARING_SHARE else scenes
        second = rng.choice(among)
        if second.name != first.name:
            yield first, second


def balanced(examples: Iterable[Example], rng: random.Random) -> list[Example]:
    """Drop rows at random until no answer of a fixed set of options ("yes"/"no", true/false/...) prevails."""
    examples = list(examples)
    sets: dict[tuple[str, frozenset[str]], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, example in enumerate(examples):
        if example.choices and example.task in LABEL_TASKS:
            key = example.task, frozenset(choice.lower() for choice in example.choices)
            sets[key][example.answer.lower()].append(number)
    dropped: set[int] = set()
    for answers in sets.values():
        if sum(map(len, answers.values())) < LABEL_ROWS or len(answers) < 2:
            continue
        most = int(SLACK * min(map(len, answers.values())))
        for numbers in answers.values():
            if len(numbers) > most:
                dropped.update(rng.sample(numbers, len(numbers) - most))
    return [example for number, example in enumerate(examples) if number not in dropped]


def _by_group(examples: Iterable[Example], rng: random.Random) -> list[Example]:
    """Rows of one group stand together; the groups are shuffled."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.group].append(example)
    names = list(groups)
    rng.shuffle(names)
    return [example for name in names for example in groups[name]]


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON object per line without empty fields; the file appears whole or not at all."""
    lines = []
    for example in examples:
        row = {name: value for name, value in asdict(example).items() if value}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    _replace(path, "".join(lines))


def read_examples(path: Path) -> Iterator[Example]:
    """Read the rows of an example file one by one. Raises DataError naming the line and field that is broken."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield _example(line, f"{path}, line {number}")
    except OSError as error:
        raise DataError(f"The examples {path} cannot be read ({error.strerror}); name a file of examples.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; write the examples again.") from error


def _example(line: str, place: str) -> Example:
    row = json_object(line, where=place, needs="an example has the fields question and answer")
    known = {field.name for field in fields(Example)}
    for name, value in row.items():
        if name not in known:
            raise DataError(f"{place}: unknown field {name!r}; use {', '.join(sorted(known))}.")
        if name in TEXT_FIELDS and not isinstance(value, str):
            raise DataError(f"{place}: the field {name!r} is no text; write a string.")
        if name in LIST_FIELDS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise DataError(f"{place}: the field {name!r} is no list of texts; write a list of strings.")
    for name in ("question", "answer"):
        if not row.get(name):
            raise DataError(f"{place}: the field {name!r} is missing or empty; every example needs one.")
    values: dict[str, Any] = {name: tuple(value) if name in LIST_FIELDS else value for name, value in row.items()}
    example = Example(**values)
    if example.choices and example.answer not in example.choices:
        raise DataError(f"{place}: the field 'answer' is none of 'choices'; copy the right option.")
    if len(example.audio) > 2:
        raise DataError(f"{place}: the field 'audio' has {len(example.audio)} clips; at most 2 can be asked about.")
    return example


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
