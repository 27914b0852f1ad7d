"""Encoder outputs, computed once per clip: the encoder is frozen, so training reads these instead of audio."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mellow.errors import AudioError, DataError
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.processor import Processor
from mellow.progress import Progress, silent, tracked

__all__ = ["FeatureCache"]

MOST_UNREADABLE = 0.01  # share of clips that may be unreadable before a run stops


class FeatureCache:
    """A folder of `<hash of a file>.safetensors` with frames (T, E), step scores (T, C) and clip scores (C), float16.

    The hash is of the file's place, size and time of change, so that data sets with equal names can share a folder and
    a recording made anew is encoded anew.
    root: folder that the clips' paths are relative to; key: identifies the encoder's weights and front end.
    """

    def __init__(self, folder: str | Path, *, root: str | Path, key: str) -> None:
        self.folder = Path(folder) / key[:16]
        self.root = Path(root)
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, clip: str) -> Path:
        """Where the outputs of a clip lie, if they are there."""
        file = (self.root / clip).resolve()
        identity = str(file)
        if file.exists():
            status = file.stat()
            identity += f"|{status.st_size}|{status.st_mtime_ns}"
        return self.folder / f"{hashlib.sha1(identity.encode()).hexdigest()[:20]}.safetensors"

    def read(self, clip: str) -> dict[str, np.ndarray]:
        """The cached outputs of one clip; DataError where they are missing or damaged."""
        try:
            return dict(load_file(str(self.path(clip))))
        except (OSError, SafetensorError) as error:
            raise DataError(f"The encoder outputs of {clip} in {self.folder} cannot be read ({error}).") from None

    def fill(
        self,
        clips: Iterable[str],
        model: MellowForConditionalGeneration,
        processor: Processor,
        *,
        progress: Progress = silent,
    ) -> set[str]:
        """Encode the clips that are missing; returns those that cannot be read, which training leaves out.

        Raises DataError when more than MOST_UNREADABLE of the clips cannot be heard.
        """
        clips = sorted(set(clips))
        missing = [clip for clip in clips if not self.path(clip).is_file()]
        unreadable: dict[str, str] = {}
        for clip in tracked(missing, "encoding clips", progress):
            try:
                self._encode(clip, model, processor)
            except AudioError as error:
                unreadable[clip] = str(error)
                if len(unreadable) > MOST_UNREADABLE * len(clips):
                    raise DataError(f"Too many clips cannot be read ({len(unreadable)}); the last: {error}") from None
        return set(unreadable)

    @torch.inference_mode()
    def _encode(self, clip: str, model: MellowForConditionalGeneration, processor: Processor) -> None:
        windows = processor.features(processor.clip(self.root / clip))
        outputs = [model.encoder(torch.from_numpy(mel_FM)[None]) for mel_FM in windows]
        arrays = {
            "frames": torch.cat([output.frames_BTE[0] for output in outputs]),
            "step_scores": torch.cat([output.step_scores_BTC[0] for output in outputs]),
            "clip_scores": torch.cat([output.clip_scores_BC for output in outputs]).amax(0),
        }
        partial = self.path(clip).with_suffix(f".{os.getpid()}.part")
        save_file(
            {name: np.ascontiguousarray(x.numpy().astype(np.float16)) for name, x in arrays.items()}, str(partial)
        )
        os.replace(partial, self.path(clip))
