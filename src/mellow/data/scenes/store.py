"""Scenes on disk: `scenes.jsonl` with one line per scene, and one flac file per scene in `audio/`."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

from mellow.data.scenes.compose import compose_alone, compose_scene
from mellow.data.scenes.composition import write_composition
from mellow.data.scenes.labels import Labelling
from mellow.data.scenes.pool import Pool
from mellow.data.scenes.recordings import read_recordings, recordings_folder
from mellow.data.scenes.scene import Event, Recording, Scene
from mellow.data.scenes.signals import SAMPLE_RATE, Waveform
from mellow.errors import DataError
from mellow.progress import Progress, silent

__all__ = ["audio_path", "read_scenes", "write_scenes"]

log = logging.getLogger(__name__)

SCENES = "scenes.jsonl"
CHUNK = 8  # scenes handed to a worker process at once
USUAL = {"development": 500, "held_out": 120}  # scenes of a split that has recordings, where no number is given

Job = tuple[str, str, Recording | None]  # name, split, the recording of a scene that holds it alone


def audio_path(name: str) -> str:
    """Where the flac file of a scene lies, relative to the folder of `scenes.jsonl`."""
    return f"audio/{name}.flac"


def read_scenes(path: Path) -> list[Scene]:
    """Read a `scenes.jsonl`. Raises DataError naming the line that is damaged."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"The scenes {path} cannot be read ({error.strerror}); name a {SCENES}") from error
    scenes = []
    for number, line in enumerate(lines, start=1):
        try:
            scenes.append(_scene(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number}: not a scene ({error}); write the scenes again") from error
    return scenes


def write_scenes(
    out_dir: Path,
    recordings_path: Path,
    labelling: Labelling | None = None,
    *,
    count: int,
    development: int | None = None,
    held_out: int | None = None,
    seed: int,
    workers: int = 1,
    progress: Progress = silent,
) -> list[Scene]:
    """Render scenes to `out_dir`, 16 kHz and 16 bit, and return them in order of their names' making.

    recordings_path, labelling: a manifest or folder, and what is known beside it (`read_recordings`).
    count, development, held_out: how many scenes to compose from each split (`train-000001`, ...). Besides these, every
    development and held-out recording alone, up to 10 s, is a scene (`development-rec-00001`, ...). None: as USUAL.
    workers: processes; each decodes the recordings it needs. progress: called after each scene.
    A run that was stopped goes on where it was: scenes of the same seed that are already there are kept.
    `compose.json` keeps what was held out. Raises DataError when `out_dir` holds scenes of another seed or with other
    sounds held out, or a split with scenes to compose has no recordings.
    """
    labelling = labelling or Labelling()
    recordings = read_recordings(recordings_path, labelling)
    wanted = _wanted(recordings, {"train": count, "development": development, "held_out": held_out}, recordings_path)
    (out_dir / "audio").mkdir(parents=True, exist_ok=True)
    jobs = _jobs(recordings, wanted)
    done = _already_there(out_dir, seed)
    write_composition(out_dir, labelling, seed=seed)
    open_jobs = [job for job in jobs if job[0] not in done]
    if done:
        log.info("%d of %d scenes are in %s already.", len(jobs) - len(open_jobs), len(jobs), out_dir)
    before = len(jobs) - len(open_jobs)
    with (out_dir / SCENES).open("a", encoding="utf-8") as lines:
        rendered = _rendered(out_dir, recordings_folder(recordings_path), recordings, open_jobs, seed, workers)
        for number, scene in enumerate(rendered, start=before + 1):
            lines.write(_line(scene))
            lines.flush()
            done[scene.name] = scene
            progress("composing scenes", number, len(jobs))
    scenes = [done[job[0]] for job in jobs if job[0] in done]
    _replace(out_dir / SCENES, "".join(map(_line, scenes)))
    return scenes


def _wanted(recordings: Sequence[Recording], asked: Mapping[str, int | None], path: Path) -> dict[str, int]:
    """How many scenes of each split to compose; DataError for a number of scenes of a split without recordings."""
    splits = {recording.split for recording in recordings}
    for split, number in asked.items():
        if number and split not in splits:
            raise DataError(f"{path} has no recordings of the split {split!r}; ask for no scenes of it.")
    if asked["development"] is None and "development" not in splits:
        log.warning(
            "No development scenes are composed: one in ten groups of takes is set aside for them, but none that "
            "holds the last training recording of a sound."
        )
    usual = {split: USUAL[split] if split in splits else 0 for split in USUAL}
    return {split: usual[split] if number is None else number for split, number in asked.items()}


def _jobs(recordings: Sequence[Recording], wanted: dict[str, int]) -> list[Job]:
    jobs: list[Job] = []
    for split, number in wanted.items():
        jobs += [(f"{split}-{index:06d}", split, None) for index in range(1, number + 1)]
        if split != "train":
            alone = (recording for recording in recordings if recording.split == split)
            jobs += [(f"{split}-rec-{index:05d}", split, recording) for index, recording in enumerate(alone, start=1)]
    return jobs


# --- rendering ----------------------------------------------------------------------------------------------------


class _Renderer:
    """Renders one job; travels to worker processes, where its pool fills anew."""

    def __init__(self, out_dir: Path, folder: Path, recordings: Sequence[Recording], seed: int) -> None:
        self.out_dir = out_dir
        self.pool = Pool(folder, recordings)
        self.seed = seed

    def __call__(self, job: Job) -> Scene | None:
        """Write the flac file, complete or not at all; None for a recording alone that is silent."""
        name, split, recording = job
        if recording is None:
            scene, waveform_S = compose_scene(name, self.pool, seed=self.seed, split=split)
        elif self.pool.is_usable(recording):
            scene, waveform_S = compose_alone(name, self.pool, recording, seed=self.seed)
        else:
            log.warning("%s is silent and left out.", recording.path)
            return None
        _write_flac(self.out_dir / audio_path(name), waveform_S)
        return scene


_renderer: _Renderer | None = None  # of a worker process


def _start_worker(renderer: _Renderer) -> None:
    global _renderer
    _renderer = renderer


def _work(job: Job) -> Scene | None:
    assert _renderer is not None
    return _renderer(job)


def _rendered(
    out_dir: Path, folder: Path, recordings: Sequence[Recording], jobs: Sequence[Job], seed: int, workers: int
) -> Iterator[Scene]:
    renderer = _Renderer(out_dir, folder, recordings, seed)
    if workers == 1:
        yield from filter(None, map(renderer, jobs))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start_worker, initargs=(renderer,)) as processes:
        yield from filter(None, processes.imap(_work, jobs, chunksize=CHUNK))


def _write_flac(path: Path, waveform_S: Waveform) -> None:
    partial = path.with_suffix(".part")
    soundfile.write(partial, waveform_S, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(partial, path)


# --- lines --------------------------------------------------------------------------------------------------------


def _line(scene: Scene) -> str:
    return json.dumps(asdict(scene) | {"audio": audio_path(scene.name)}) + "\n"


def _scene(row: dict[str, Any]) -> Scene:
    row = dict(row)
    row.pop("audio", None)
    events = tuple(Event(**event) for event in row.pop("events"))
    return Scene(**row, events=events)


def _already_there(out_dir: Path, seed: int) -> dict[str, Scene]:
    """Scenes of an earlier run whose line and flac file are both there; a last line cut short is dropped."""
    path = out_dir / SCENES
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        _replace(path, text)
    scenes = read_scenes(path)
    if other := next((scene.seed for scene in scenes if scene.seed != seed), None):
        raise DataError(f"{out_dir} holds scenes of the seed {other}, not {seed}; name an empty folder or that seed")
    return {scene.name: scene for scene in scenes if (out_dir / audio_path(scene.name)).exists()}


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
