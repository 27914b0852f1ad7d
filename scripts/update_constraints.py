"""Write the versions that are tested, so that a set-up that is green today stays green.

    python3.11 scripts/update_constraints.py

constraints.txt has today's newest release of everything that `.[dev]` installs, constraints-lowest.txt the lower bounds
of pyproject.toml and the newest releases that go with them. torch's lower bound is left out: on Linux that release is
on PyPI with CUDA only, which is too large for CI.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWER_BOUND = re.compile(r"([A-Za-z0-9_-]+)[^>]*>=([0-9.]+)")
ONLY_LINUX = re.compile(r"nvidia-|cuda-|triton$")  # what torch's CUDA build brings
HEADER = "# {what}, written by scripts/update_constraints.py; do not edit.\n"


def lower_bounds(pyproject: str) -> Iterator[str]:
    """Every requirement of the package and its extras at its lower bound: `name==version`."""
    project = tomllib.loads(pyproject)["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in sorted({*project["dependencies"], *extras}):
        if line.startswith(f"{project['name']}["):  # an extra made of others
            continue
        found = LOWER_BOUND.match(line)
        if found is None:
            raise ValueError(f"{line!r} in pyproject.toml has no lower bound")
        if found[1] != "torch":
            yield f"{found[1]}=={found[2]}"


def resolved(constraints: Iterable[str]) -> list[str]:
    """What pip would install for `.[dev]` in an empty environment under constraints, as `name==version`."""
    with tempfile.TemporaryDirectory() as folder:
        limits, report = Path(folder, "limits.txt"), Path(folder, "report.json")
        limits.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command = [*pip, "--report", report, "--constraint", limits, f"{ROOT}[dev]"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        found = [item["metadata"] for item in json.loads(report.read_text(encoding="utf-8"))["install"]]
    return pins((item["name"], item["version"]) for item in found)


def pins(releases: Iterable[tuple[str, str]]) -> list[str]:
    """Sorted `name==version`, usable anywhere: no local versions (`+cpu`), not ourselves, nothing for Linux alone."""
    named = {re.sub(r"[-_.]+", "-", name).lower(): version.partition("+")[0] for name, version in releases}
    return [f"{name}=={named[name]}" for name in sorted(named) if name != "mellow-audio" and not ONLY_LINUX.match(name)]


def write(path: Path, what: str, lines: Iterable[str]) -> None:
    path.write_text(HEADER.format(what=what) + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> int:
    if sys.version_info[:2] != (3, 11):
        print("Run this with Python 3.11: releases for newer ones may not exist for the oldest.", file=sys.stderr)
        return 1
    lowest = list(lower_bounds((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    write(ROOT / "constraints.txt", "The newest releases that are tested", resolved([]))
    write(ROOT / "constraints-lowest.txt", "The lowest releases that are tested", resolved(lowest))
    return 0


if __name__ == "__main__":
    sys.exit(main())
