"""The tests of this folder ask the torch engine and ONNX Runtime about the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest

import mellow
from mellow.answer.facade import Mellow


@pytest.fixture(scope="session", params=["torch", "onnx"])
def published(request: pytest.FixtureRequest, published_dir: Path) -> Mellow:
    if request.param == "torch":
        request.getfixturevalue("with_torch")
        return mellow.load(published_dir, engine="torch", device="cpu")
    return mellow.load(published_dir)
