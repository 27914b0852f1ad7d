"""The event head, fitted on scenes whose events are known to the second; and out-of-fold timelines to train on.

The language model learns from timelines what a timeline is worth. So those it learns from must be as good as those of
recordings that nobody has heard before: the head that names an event in a training scene was fitted without that
event's recording (cross-fitting), and does not know some of the sounds at all, as it will meet sounds without a name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mellow.data.scenes.scene import Scene
from mellow.data.scenes.store import audio_path
from mellow.errors import DataError
from mellow.events.timeline import LIKELY, Event, StepClock, Timeline, read_timeline
from mellow.files import sync
from mellow.model.events import EventHead
from mellow.progress import Progress, silent, tracked
from mellow.train.features import FeatureCache

__all__ = ["Events", "fit_events", "truth"]

log = logging.getLogger(__name__)
HEAD, TIMELINES = "events.safetensors", "timelines.json"
FOLDS = 4
UNKNOWN = 0.12  # share of the sounds that the head of a fold is not trained on
EPOCHS = 4
BATCH = 2048  # steps
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
DROPOUT = (0.2, 0.3)  # of frames and of the hidden layer
RARE = -5.0  # start of the output's bias: a sound is rare


@dataclass(frozen=True)
class Events:
    """What fitting gives: the head, the keys of its sounds, and the timeline of each training clip."""

    head: EventHead
    sounds: list[str]
    timelines: Mapping[str, Timeline]


@dataclass(frozen=True)
class Steps:
    """All steps of some scenes, joined: N steps, S sounds, E width of a frame.

    frames_NE: float16; truth_NS: 1 where a sound is heard; fold_N: bit f set where a recording of fold f is heard.
    """

    frames_NE: torch.Tensor
    truth_NS: torch.Tensor
    fold_N: torch.Tensor


def fit_events(
    scenes: Sequence[Scene],
    cache: FeatureCache,
    *,
    clock: StepClock,
    width: int,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> Events:
    """Fit the head on training scenes, and read the timeline of each by heads that never met its recordings.

    folder: where the result is kept; a second call with the same scenes reads it again.
    """
    sounds = sorted({event.sound for scene in scenes for event in scene.events})
    clips = [audio_path(scene.name) for scene in scenes]
    key = _key(scenes, [cache.path(clip) for clip in clips], width=width, seed=seed)
    stored = _read(folder, key, width)
    if stored is not None:
        return stored
    lengths = [len(cache.read(clip)["frames"]) for clip in clips]
    steps = join(scenes, cache, sounds, lengths, clock)
    scores_FNS = []
    for fold in tracked(range(FOLDS), "fitting event heads", progress):
        partial = fit_head(steps, sounds, width=width, seed=seed, fold=fold)
        scores_FNS.append(score(partial, steps.frames_NE))
    head = fit_head(steps, sounds, width=width, seed=seed, fold=None)
    events = Events(
        head, sounds, dict(zip(clips, out_of_fold(scenes, lengths, scores_FNS, sounds, clock), strict=True))
    )
    _write(folder, events, key)
    return events


def _key(scenes: Sequence[Scene], features: Sequence[Path], *, width: int, seed: int) -> str:
    """What a result is known by: the scenes, the files of their features (named by audio and encoder), and settings."""
    parts = [
        width,
        seed,
        LIKELY,
        *((path.parent.name, path.name, repr(s)) for path, s in zip(features, scenes, strict=True)),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(folder: Path, key: str, width: int) -> Events | None:
    """The result of an earlier call with the same inputs, if it is complete."""
    try:
        stored = json.loads((folder / TIMELINES).read_text(encoding="utf-8"))
        if stored["key"] != key:
            return None
        state = load_file(str(folder / HEAD))
        with torch.random.fork_rng():  # a second start draws what follows as the first one did
            head = EventHead(frame_width=state["linear1.weight"].shape[1], width=width, sounds=len(stored["sounds"]))
        head.load_state_dict(state)
        timelines = {
            clip: Timeline(likely, [Event(*event) for event in events])
            for clip, (likely, events) in stored["timelines"].items()
        }
        return Events(head.eval().requires_grad_(False), stored["sounds"], timelines)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None


def _write(folder: Path, events: Events, key: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{TIMELINES}.{os.getpid()}.part"
    save_file(events.head.state_dict(), str(partial))
    sync(partial)
    os.replace(partial, folder / HEAD)
    whole = {"key": key, "sounds": events.sounds, "timelines": events.timelines}
    partial.write_text(json.dumps(whole), encoding="utf-8")
    sync(partial)
    os.replace(partial, folder / TIMELINES)


def truth(scene: Scene, sounds: Sequence[str], steps: int, clock: StepClock) -> np.ndarray:
    """Which sounds occur at each step of a scene: (T, S) uint8."""
    index = {sound: s for s, sound in enumerate(sounds)}
    heard_TS = np.zeros((steps, len(sounds)), np.uint8)
    for event in scene.events:
        if event.sound in index:
            heard_TS[_steps_of(event.onset_s, event.end_s, steps, clock), index[event.sound]] = 1
    return heard_TS


def join(
    scenes: Sequence[Scene], cache: FeatureCache, sounds: Sequence[str], lengths: Sequence[int], clock: StepClock
) -> Steps:
    total = sum(lengths)
    truth_NS = np.zeros((total, len(sounds)), np.uint8)
    fold_N = np.zeros(total, np.uint8)
    frames = []
    start = 0
    for scene, length in zip(scenes, lengths, strict=True):
        frames.append(cache.read(audio_path(scene.name))["frames"])
        truth_NS[start : start + length] = truth(scene, sounds, length, clock)
        for event in scene.events:
            fold_N[start + _steps_of(event.onset_s, event.end_s, length, clock)] |= 1 << fold_of(event.recording)
        start += length
    return Steps(torch.from_numpy(np.concatenate(frames)), torch.from_numpy(truth_NS), torch.from_numpy(fold_N))


def fold_of(recording: str) -> int:
    return zlib.crc32(recording.encode()) % FOLDS


def unknown_of(fold: int, sounds: Sequence[str]) -> list[int]:
    """The sounds that the head of a fold is not trained on, by index."""
    return [s for s, sound in enumerate(sounds) if zlib.crc32(f"{fold}:{sound}".encode()) % 1000 < 1000 * UNKNOWN]


def fit_head(steps: Steps, sounds: Sequence[str], *, width: int, seed: int, fold: int | None) -> EventHead:
    """A head fitted on all steps, or on those without recordings of a fold and without its unknown sounds."""
    chosen_N = torch.arange(len(steps.fold_N))
    if fold is not None:
        leave_N = ((steps.fold_N >> fold) & 1).bool() | steps.truth_NS[:, unknown_of(fold, sounds)].bool().any(1)
        chosen_N = chosen_N[~leave_N]
    if not len(chosen_N):
        raise DataError(
            "The scenes have too few different recordings to fit an event head; compose more, or leave data.scenes out."
        )
    mean_E, spread_E = _moments(steps.frames_NE, chosen_N)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = EventHead(frame_width=len(mean_E), width=width, sounds=len(sounds))
        nn.init.constant_(head.linear2.bias, RARE)
        learner = nn.Sequential(
            nn.Dropout(DROPOUT[0]), head.linear1, nn.GELU(), nn.Dropout(DROPOUT[1]), head.linear2
        ).train()
        optimizer = torch.optim.AdamW(learner.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        total = max(EPOCHS * len(chosen_N) // BATCH, 20)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=total)
        for _ in range(total):
            batch_N = chosen_N[torch.randint(len(chosen_N), (BATCH,), generator=generator)]
            scores_NS = learner((steps.frames_NE[batch_N].float() - mean_E) / spread_E)
            loss = nn.functional.binary_cross_entropy_with_logits(scores_NS, steps.truth_NS[batch_N].float())
            optimizer.zero_grad()
            (loss * len(sounds)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with torch.no_grad():  # the head takes frames as they are
        head.linear1.weight.div_(spread_E)
        head.linear1.bias.sub_(head.linear1.weight @ mean_E)
    return head.eval().requires_grad_(False)


@torch.inference_mode()
def score(head: EventHead, frames_NE: torch.Tensor) -> np.ndarray:
    """Logits (N, S) of all steps, float16."""
    return np.concatenate([head(part.float()).half().numpy() for part in torch.split(frames_NE, 16384)])


def out_of_fold(
    scenes: Sequence[Scene],
    lengths: Sequence[int],
    scores_FNS: Sequence[np.ndarray],
    sounds: Sequence[str],
    clock: StepClock,
) -> Iterator[Timeline]:
    """The timeline of each scene: its sounds by the heads of their recordings' folds, all others by that of its longest
    event."""
    index = {sound: s for s, sound in enumerate(sounds)}
    silent = [unknown_of(fold, sounds) for fold in range(FOLDS)]
    start = 0
    for scene, length in zip(scenes, lengths, strict=True):
        part = slice(start, start + length)
        longest = max(scene.events, key=lambda event: event.duration_s, default=None)
        first = fold_of(longest.recording if longest else scene.name)
        scores_TS = scores_FNS[first][part].astype(np.float32)
        scores_TS[:, silent[first]] = -np.inf
        for event in scene.events:
            fold, sound = fold_of(event.recording), index[event.sound]
            scores_TS[:, sound] = -np.inf if sound in silent[fold] else scores_FNS[fold][part, sound]
        yield read_timeline(scores_TS, clock)
        start += length


def _steps_of(start_s: float, end_s: float, steps: int, clock: StepClock) -> np.ndarray:
    """The steps that a stretch of time fills to a quarter at least; the one in its middle if there is none."""
    time_T, step = clock.starts(steps), clock.seconds
    inside = np.flatnonzero((time_T + 0.75 * step > start_s) & (time_T + 0.25 * step < end_s))
    if len(inside):
        return inside
    return np.array([np.abs(time_T + step / 2 - (start_s + end_s) / 2).argmin()])


def _moments(frames_NE: torch.Tensor, chosen_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the chosen frames, without a copy of all of them in float32."""
    total = squares = torch.zeros(frames_NE.shape[1], dtype=torch.float64)
    for part_N in torch.split(chosen_N, 16384):
        frames = frames_NE[part_N].double()
        total, squares = total + frames.sum(0), squares + frames.square().sum(0)
    mean = total / len(chosen_N)
    spread = (squares / len(chosen_N) - mean.square()).clamp(min=0).sqrt() + 1e-4
    return mean.float(), spread.float()
