"""Offline is meant: in a fresh home nothing appears but our cache, and no Python code opens a connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.offline import TELEMETRY

REFUSED = 97
GUARD = f"""
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        sys.stderr.write(f"{{event}} {{arguments}}\\n")
        sys.stderr.flush()
        os._exit({REFUSED})

sys.addaudithook(refuse)
"""

FreshHome = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def in_fresh_home(home: Path, tmp_path: Path, root: Path) -> FreshHome:
    """Run Python with an empty home, no variables of ours, and a guard that ends it at the first connection."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)

    def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        places = {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home / "AppData")}
        path = os.pathsep.join([str(tmp_path / "guard"), str(root / "src")])
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env={**kept, **places, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            text=True,
            cwd=home,
        )

    return run


def left_in(home: Path) -> set[str]:
    """The folders of caches that have files in them: `.cache/mellow` on Linux; elsewhere they have other names."""
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def is_ours(name: str) -> bool:
    return "mellow" in name.split("/")


def call(*words: object) -> tuple[object, ...]:
    return "-c", "from mellow.cli import main; main()", *words


IMPORTS = "import mellow, mellow.answer.load, onnxruntime; onnxruntime.SessionOptions()"


def test_importing_leaves_nothing(in_fresh_home: FreshHome, home: Path) -> None:
    done = in_fresh_home("-c", IMPORTS)
    assert done.returncode == 0, done.stderr
    assert left_in(home) == set()


@pytest.mark.parametrize(
    "module", ["mellow.engines.onnx.session", "mellow.export.verify", "mellow.cli", "mellow.wrapper"]
)
def test_the_switches_are_set_whatever_is_imported_first(in_fresh_home: FreshHome, module: str) -> None:
    done = in_fresh_home("-c", f"import os, {module}; print(*map(os.environ.get, {tuple(TELEMETRY)}))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(TELEMETRY.values())


def test_a_user_who_set_a_switch_is_not_overridden(in_fresh_home: FreshHome) -> None:
    name = next(iter(TELEMETRY))
    done = in_fresh_home("-c", f"import os, mellow; print(os.environ[{name!r}])", **{name: "0"})
    assert done.stdout.strip() == "0"


def test_commands_leave_nothing_but_our_cache(
    in_fresh_home: FreshHome, home: Path, tiny_model_dir: Path, tone: Any
) -> None:
    for words in (
        ("ask", tone(440, 1.0), "What is it?", "--choice", "dog", "--choice", "rain", "--model", tiny_model_dir),
        ("ask", tone(440, 1.0), "What is it?", "--max-new-tokens", 3, "--model", tiny_model_dir),
        ("cache", "list"),
    ):
        done = in_fresh_home(*call(*words))
        assert done.returncode == 0, (words, done.stderr)
    found = left_in(home)
    assert any(name.endswith("decoder.onnx") for name in found), "the model was kept in this home's cache"
    assert [name for name in found if not is_ours(name)] == []


def test_an_export_leaves_nothing_at_home(
    with_torch: None, in_fresh_home: FreshHome, home: Path, tiny_model_dir: Path, tmp_path: Path, tone: Any
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.wav").write_bytes(tone(440, 1.0).read_bytes())
    done = in_fresh_home(*call("export", tiny_model_dir, tmp_path / "graphs", "--precision", "fp32", "--clips", clips))
    assert done.returncode == 0, done.stderr
    assert [name for name in left_in(home) if not is_ours(name)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    ],
)
def test_the_guard_sees_connections(in_fresh_home: FreshHome, code: str) -> None:
    assert in_fresh_home("-c", code).returncode == REFUSED
