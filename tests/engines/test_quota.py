"""Quotas of control groups, as containers and services set them, become threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mellow.engines.onnx import session
from mellow.engines.onnx.quota import cpu_quota
from mellow.engines.onnx.session import available_threads

V2, V1 = "0::/", "5:memory:/\n4:cpu,cpuacct:/\n"


def make(root: Path, group: str, files: Mapping[str, str]) -> Path:
    """A folder with `proc` and `sys` as Linux shows them."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("group", "files", "processors"),
    [
        (V2, {"cpu.max": "200000 100000\n"}, 2),
        (V2, {"cpu.max": "150000 100000\n"}, 2),  # rounded up
        (V2, {"cpu.max": "10000 100000\n"}, 1),
        (V2, {"cpu.max": "max 100000\n"}, None),
        (V2, {"cpu.max": ""}, None),
        (V2, {"cpu.max": "100000 0\n"}, None),
        (V2, {}, None),
        ("0::/a.slice/b.scope\n", {"a.slice/b.scope/cpu.max": "max 100000\n", "a.slice/cpu.max": "300000 100000\n"}, 3),
        ("0::/a.slice/b.scope\n", {"a.slice/b.scope/cpu.max": "1 1\n", "a.slice/cpu.max": "4 1\n"}, 1),
        ("0::/not/seen/in/here\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/../outside\n", {"cpu.max": "400000 100000\n"}, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "250000\n"}, None),
        (
            "4:cpu,cpuacct:/docker/abc\n0::/\n",
            {"cpu/docker/abc/cpu.cfs_quota_us": "100000\n", "cpu/docker/abc/cpu.cfs_period_us": "50000\n"},
            2,
        ),
        ("nonsense\n\n", {}, None),
    ],
)
def test_quotas(group: str, files: Mapping[str, str], processors: int | None, tmp_path: Path) -> None:
    assert cpu_quota(make(tmp_path, group, files)) == processors


def test_without_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("cores", "quota", "threads"), [(2, None, 2), (64, None, 8), (64, 3, 3), (2, 3, 2), (1, 1, 1)])
def test_threads_are_the_fewest_of_cores_quota_and_what_pays(
    cores: int, quota: int | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.os, "process_cpu_count", lambda: cores, raising=False)
    monkeypatch.setattr(session, "cpu_quota", lambda: quota)
    assert available_threads() == threads
