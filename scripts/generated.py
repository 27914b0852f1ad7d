"""For scripts that write a page of the documentation: write it or, with --check, say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["write_or_check"]


def write_or_check(target: Path, wanted: str) -> int:
    """Write the page; with --check, write nothing and return 1 where it is another. The script is the one that runs."""
    if "--check" not in sys.argv[1:]:
        target.write_text(wanted, encoding="utf-8")
        return 0
    if target.is_file() and target.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{target} is out of date; run python scripts/{Path(sys.argv[0]).name}", file=sys.stderr)
    return 1
