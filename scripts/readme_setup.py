"""Print one set-up line of README.md as it stands there, so that CI runs what people are told to run.

    python scripts/readme_setup.py 2

The lines are those of the code block behind the marker <!-- setup -->.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"<!-- setup -->\s*```sh\n(.*?)```", re.DOTALL)


def setup_lines(readme: str) -> list[str]:
    """The commands of the marked block, in order, without comments."""
    found = BLOCK.findall(readme)
    if len(found) != 1:
        raise ValueError(f"README.md has {len(found)} code blocks behind the marker <!-- setup -->, not one")
    return [line.strip() for line in found[0].splitlines() if line.strip() and not line.lstrip().startswith("#")]


def main() -> int:
    lines = setup_lines(README.read_text(encoding="utf-8"))
    number = int(sys.argv[1])
    if not 1 <= number <= len(lines):
        print(f"README.md has {len(lines)} set-up lines, so there is no line {number}", file=sys.stderr)
        return 1
    print(lines[number - 1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
