"""Exporting a loaded model: its config and tensors, handed to the one writer of graphs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mellow.errors import ModelError
from mellow.model.build import encoder_sizes
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.runtime.write import write_graphs
from mellow.stored.settings import ELSEWHERE, known_settings

__all__ = ["Tensors", "export", "graph_config"]


class Tensors(Mapping[str, np.ndarray]):
    """A model's tensors as float32 arrays, each made when it is asked for."""

    def __init__(self, model: MellowForConditionalGeneration) -> None:
        self.state = model.state_dict()

    def __getitem__(self, name: str) -> np.ndarray:
        array: np.ndarray = self.state[name].detach().float().cpu().numpy()
        return array

    def __contains__(self, name: object) -> bool:
        return name in self.state

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)


def export(
    model: MellowForConditionalGeneration, out_dir: str | Path, *, tokenizer: str | Path, precision: str = "int8"
) -> Path:
    """Write a model's graph directory (see `mellow.runtime`), whole or not at all; returns its path.

    model: loaded in float32 (or bfloat16, with its loss); tokenizer: the model's tokenizer.json.
    precision: `fp32`, `fp16` (weights stored so), `int8` or `int4` (see `docs/edge.md`).
    Raises ModelError for a directory that exists or cannot be written, and for a model that has no graph.
    """
    try:
        content = Path(tokenizer).read_bytes()
    except OSError as error:
        raise ModelError(f"The tokenizer {tokenizer} cannot be read ({error.strerror or error}).") from None
    return write_graphs(
        out_dir, config=graph_config(model), state=Tensors(model), tokenizer=content, precision=precision
    )


def graph_config(model: MellowForConditionalGeneration) -> dict[str, Any]:
    """A model's config as JSON values, every size of its encoder told."""
    config = known_settings(json.loads(model.config.to_json_string(use_diff=False)))
    sizes = json.loads(json.dumps(asdict(encoder_sizes(model.config))))
    return {**{name: value for name, value in config.items() if name not in ELSEWHERE}, "encoder_config": sizes}
