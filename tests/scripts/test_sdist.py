"""The source distribution holds all that its README and tests need: every file of the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

GENERATED = {"PKG-INFO"}


@pytest.mark.slow
def test_sdist_holds_the_files_of_the_repository(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("only a git checkout tells which files belong to the repository")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        packed = {member.name.partition("/")[2] for member in archive}
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    assert packed - GENERATED == {name for name in listed if name and (root / name).exists()}
