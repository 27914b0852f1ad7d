"""The CPU quota of a container or service: Linux control groups, version 1 and 2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota"]

ROOT = Path("/")
FILES = {"": ("cpu.max",), "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us")}  # by the controller's name; "": version 2


def cpu_quota(root: Path = ROOT) -> int | None:
    """Processors that this process may use by its quota of time, rounded up; None where there is no quota.

    The group of the process and all groups above it count. In a container these are often invisible, and its own group
    is mounted at the top. root: where `proc` and `sys` are found.
    """
    quotas = [quota for folder, names in _groups(root) if (quota := _quota(folder, names)) is not None]
    return max(1, math.ceil(min(quotas))) if quotas else None


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Folders that may hold a quota, from the process's own group up, and the names of the files with it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # not Linux
        return
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        for name in FILES.keys() & controllers.split(","):
            top = root / "sys/fs/cgroup" / name
            for path in (PurePosixPath(group), *PurePosixPath(group).parents):
                yield top / str(path).lstrip("/"), FILES[name]


def _quota(folder: Path, names: tuple[str, ...]) -> float | None:
    """Processors by one group's files: a quota and a period in microseconds, in one file or two."""
    try:
        quota, period = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group here, or "max": without a quota
        return None
    return share if share > 0 else None  # -1: without a quota
