"""The set-up of README.md is two lines, found by the script that CI runs them with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def printed(root: Path, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "readme_setup.py"), str(number)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_two_lines(root: Path) -> None:
    first, second, third = (printed(root, number) for number in (1, 2, 3))
    assert first.stdout == 'pip install -c constraints.txt . && mellow ask examples/siren.flac "What sound is this?"\n'
    assert second.stdout == 'pip install -c constraints.txt -e ".[dev]" && pytest\n'
    assert third.returncode == 1
    assert "2 set-up lines" in third.stderr


def test_what_readme_links_to_is_here(root: Path) -> None:
    """Files and folders named in links exist, but for the model card, which comes with the trained model."""
    text = (root / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    missing = [link for link in links if not (root / link).exists()]
    assert set(missing) <= {"src/mellow/pretrained/mini/README.md"}
