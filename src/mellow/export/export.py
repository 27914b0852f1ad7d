"""Exporting a checkpoint: its config and tensors, handed to the one writer of graphs; no torch."""

from __future__ import annotations

from pathlib import Path

from mellow.checkpoints.state import check_parts, open_state
from mellow.config import ModelConfig
from mellow.errors import ModelError
from mellow.graphs.write import write_graphs

__all__ = ["export"]


def export(directory: str | Path, out_dir: str | Path, *, precision: str = "int8") -> Path:
    """Write the graph directory of a model (see `mellow.graphs`), completely or not at all; returns its path.

    directory: of a full or adapter checkpoint on a Llama.
    precision: `fp32`, `fp16` (weights stored so), `int8` or `int4` (see `docs/edge.md`).
    Raises ModelError for a directory that exists or cannot be written, and for a model that has no graph.
    """
    directory = Path(directory)
    config = ModelConfig.read(directory)
    if config.files.get("graphs"):
        raise ModelError(f"{directory} holds graphs already; export the model that they were made from.")
    check_parts(directory, config)
    state = open_state(directory, config, verify=True)
    tokenizer = (directory / "tokenizer.json").read_bytes()
    return write_graphs(out_dir, config=config, state=state, tokenizer=tokenizer, precision=precision)
