"""Write the table of packages in docs/architecture.md; with --check, only report whether it is up to date.

What a package is for is the first sentence of its docstring; what it may import stands in tests/test_architecture.py.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from generated import write_or_check

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "mellow"
RULES = ROOT / "tests" / "test_architecture.py"
TARGET = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: written by scripts/write_architecture.py -->", "<!-- end of packages -->"
ENTRY_POINTS = ("__init__", "__main__")  # they may import everything, as cli does, and are no packages


def may_import() -> dict[str, list[str]]:
    """The table MAY_IMPORT of the test, read without importing it."""
    for node in ast.parse(RULES.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "MAY_IMPORT":
            assert node.value is not None
            found: dict[str, set[str]] = ast.literal_eval(node.value)
            return {name: sorted(others) for name, others in found.items()}
    raise ValueError(f"{RULES} has no table MAY_IMPORT")


def source(name: str) -> Path | None:
    """The file that holds the docstring of a package or module of ours; None where it does not exist yet."""
    places = (PACKAGE / f"{name}.py", PACKAGE / name / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def job(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise ValueError(f"{path} has no docstring")
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.]) (?=[A-Z`])", paragraph)[0]


def table(rules: Mapping[str, list[str]]) -> str:
    """A row per package: its name, its job, and what it may import directly."""
    lines = ["| package | its job | may import |", "|---|---|---|"]
    for name, others in {**rules, "cli": []}.items():
        path = source(name)
        if path is None or name in ENTRY_POINTS:
            continue
        shown = f"`{name}/`" if path.name == "__init__.py" else f"`{name}.py`"
        listed = ", ".join(f"`{other}`" for other in others if source(other)) or "nothing"
        lines.append(f"| {shown} | {job(path)} | {'everything' if name == 'cli' else listed} |")
    return "\n".join(lines)


def page(text: str, rows: str) -> str:
    """The page with its table replaced."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{TARGET} lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{rows}\n\n{END}{after}"


def main() -> int:
    return write_or_check(TARGET, page(TARGET.read_text(encoding="utf-8"), table(may_import())))


if __name__ == "__main__":
    sys.exit(main())
