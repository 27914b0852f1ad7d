"""The tests of this folder ask the torch engine and the graphs about the published layout, too."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import mellow
from mellow.answer.facade import Mellow
from mellow.engines.onnx.engine import OnnxEngine


@pytest.fixture(scope="session", params=["torch", "graphs"])
def published(request: pytest.FixtureRequest, published_dir: Path) -> Mellow:
    from mellow.export.export import Tensors, graph_config

    loaded = mellow.load(published_dir, engine="torch", device="cpu")
    if request.param == "torch":
        return loaded
    model = loaded.engine.model  # type: ignore[attr-defined]
    return dataclasses.replace(loaded, engine=OnnxEngine.of(graph_config(model), Tensors(model), precision="fp32"))
