"""Two-part models with torch: their tensors, read and merged by `mellow.stored`, in the model's modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from mellow.model.configuration import MellowConfig
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.one_part import assemble, read_config
from mellow.stored.names import BUNDLED
from mellow.stored.two_part import TwoPartState, read_trained, write_two_part

__all__ = ["BUNDLED", "load_two_part", "read_trained", "save_two_part"]


def save_two_part(
    directory: str | Path,
    *,
    config: MellowConfig,
    trained: Mapping[str, np.ndarray],
    tokenizer: str | Path,
    base: str | Path | None = None,
) -> None:
    """Write a two-part model; see `mellow.stored.two_part.write_two_part`."""
    write_two_part(directory, settings=config.to_json_string(), trained=trained, tokenizer=tokenizer, base=base)


def load_two_part(directory: str | Path, *, verify: bool = False) -> MellowForConditionalGeneration:
    """Build the model of a two-part directory in float32, its adapters merged into the base language model.

    verify: also check the base's sha256 (0.1 s).
    Raises ModelError naming the part that is missing, damaged or unfit.
    """
    directory = Path(directory)
    config = read_config(directory)
    stored = TwoPartState.open(
        directory, {"base": config.base, "adapter": config.adapter, "weights": config.weights}, verify=verify
    )
    state = {name: torch.from_numpy(array) for name, array in stored.items()}
    return assemble(config, state, what=f"The model {directory}")
