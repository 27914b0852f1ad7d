"""docs/cli.md says what the command line does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_reference_is_up_to_date(root: Path) -> None:
    script = root / "scripts" / "write_cli_reference.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reference_names_every_command_and_option(root: Path) -> None:
    text = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    for words in (
        "## mellow ask",
        "## mellow base fetch",
        "## mellow data compose",
        "## mellow train",
        "--choice",
        "--json",
    ):
        assert words in text
