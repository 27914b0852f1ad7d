"""docs/architecture.md has the table of packages that the code and the import rules make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_the_table_is_up_to_date(root: Path) -> None:
    script = root / "scripts" / "write_architecture.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_package_has_a_row(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w./]+)` \|", text, re.MULTILINE))
    package = root / "src" / "mellow"
    found = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    found |= {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert found <= listed
