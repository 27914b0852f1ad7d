"""Tables written for a test, and sentences of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mellow.errors import DataError

Put = Callable[[str, str | bytes], Path]
Fails = Callable[[Iterable[object]], str]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """`put("val.csv", text)`: a file with that name and content."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def fails(tmp_path: Path) -> Fails:
    """Exhaust a reader that must fail with one sentence; the sentence, without the folder."""

    def run(items: Iterable[object]) -> str:
        with pytest.raises(DataError) as caught:
            list(items)
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text
        return text.replace(f"{tmp_path}/", "")

    return run
