"""Packed rows as a torch dataset, and their collation into tensors of one fixed shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from mellow.events import StepClock
from mellow.model.mapper import pool_steps
from mellow.text.prompt import IGNORE
from mellow.train.features import FeatureCache
from mellow.train.packing import PAD_GROUP, Row

__all__ = ["PackedRows", "collate"]


class PackedRows(Dataset[tuple[Row, list[tuple[torch.Tensor, torch.Tensor]]]]):
    """Rows in training order, each with the pooled encoder outputs of its clips."""

    def __init__(self, rows: Sequence[Row], cache: FeatureCache, *, frames_per_row: int, clock: StepClock) -> None:
        self.rows = rows
        self.cache = cache
        self.frames_per_row = frames_per_row
        self.clock = clock

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Row, list[tuple[torch.Tensor, torch.Tensor]]]:
        row = self.rows[index]
        return row, [self._pooled(clip) for clip in row.clips]

    def _pooled(self, clip: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Pooled frames (K, E) and class probabilities (K, C) of one clip."""
        arrays = self.cache.read(clip)
        frames_TE = torch.from_numpy(arrays["frames"].astype(np.float32))
        scores_TC = torch.from_numpy(arrays["step_scores"].astype(np.float32)).sigmoid()
        return self._pool(frames_TE), self._pool(scores_TC)

    def _pool(self, x_TE: torch.Tensor) -> torch.Tensor:
        """Window by window, as clips are encoded when they are asked about."""
        lengths = self.clock.windows(len(x_TE))
        return torch.cat([pool_steps(part[None], self.frames_per_row)[0] for part in torch.split(x_TE, lengths)])


def collate(
    batch: Sequence[tuple[Row, list[tuple[torch.Tensor, torch.Tensor]]]], *, length: int
) -> dict[str, torch.Tensor]:
    """Tensors of B rows padded to `length`.

    ids, positions, labels: (B, L) int64; weights: (B, L) float32; mask: (B, 1, L, L) bool, True where a token is seen;
    frames (N, E) and scores (N, C): of the N audio tokens of the batch, in order.
    """
    rows = [row for row, _ in batch]
    groups_BL = padded([row.groups for row in rows], length, PAD_GROUP)
    blocks_BL = padded([row.blocks for row in rows], length, 0)
    heard = [clip for _, clips in batch for clip in clips]
    return {
        "ids": padded([row.ids for row in rows], length, 0),
        "positions": padded([row.positions for row in rows], length, 0),
        "labels": padded([row.labels for row in rows], length, IGNORE),
        "weights": padded([row.weights for row in rows], length, 0.0),
        "mask": block_mask(groups_BL, blocks_BL),
        "frames": torch.cat([frames for frames, _ in heard]) if heard else torch.zeros(0, 1),
        "scores": torch.cat([scores for _, scores in heard]) if heard else torch.zeros(0, 1),
    }


def padded(rows: Sequence[Sequence[int] | Sequence[float]], length: int, fill: float) -> torch.Tensor:
    out = np.full((len(rows), length), fill, dtype=np.float32 if isinstance(fill, float) else np.int64)
    for b, row in enumerate(rows):
        out[b, : len(row)] = row
    return torch.from_numpy(out)


def block_mask(groups_BL: torch.Tensor, blocks_BL: torch.Tensor) -> torch.Tensor:
    """(B, 1, L, L): a token sees earlier tokens of its group that are prefix or of its own block, and itself."""
    length = groups_BL.shape[1]
    same_group = groups_BL[:, :, None] == groups_BL[:, None, :]
    visible = (blocks_BL[:, None, :] == 0) | (blocks_BL[:, :, None] == blocks_BL[:, None, :])
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return (same_group & visible & causal)[:, None]
