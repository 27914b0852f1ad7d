"""The report that `mellow doctor` prints: versions, cache, model files, CPU, telemetry, and a self-test."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mellow.answer.load import load
from mellow.checkpoints.cache import cache_folder, entries
from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig
from mellow.engines.onnx.session import available_threads
from mellow.errors import MellowError
from mellow.files import sha256
from mellow.offline import TELEMETRY
from mellow.types import Clip

__all__ = ["Check", "Report", "examine"]

PACKAGE = "mellow-audio"
FOR_DEVELOPERS = ("dev", "test")  # extras that no user needs
# Of processors, as Linux calls them: they decide how fast int8 is.
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve")
OPTIONS = ("a siren", "a dog barking", "rain")
RATE = 16_000


@dataclass(frozen=True)
class Check:
    """A check of the installation: whether it passed, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Report:
    """facts: by section, by name; checks: what was tested. The user's home directory is written as ~ in all of it."""

    facts: Mapping[str, Mapping[str, str]]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        return {"facts": self.facts, "checks": [asdict(check) for check in self.checks], "passed": self.passed}


def examine() -> Report:
    """Examine this machine and installation, and answer a question about a synthetic siren."""
    facts = {
        "versions": versions(),
        "cache": cache(),
        "processor": processor(),
        "telemetry": telemetry(),
    }
    checks = [*model_checks(BUNDLED), self_test()]
    return Report(
        {section: {name: without_home(fact) for name, fact in found.items()} for section, found in facts.items()},
        tuple(Check(check.name, check.passed, without_home(check.found)) for check in checks),
    )


def versions() -> dict[str, str]:
    """Of Mellow, Python, the platform, and each package that Mellow needs, by itself or with an extra."""
    found = {
        "mellow": installed(PACKAGE),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
    }
    try:
        required = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        required = []
    for line in required:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        if extra is None or extra[1] not in FOR_DEVELOPERS:
            found[name] = installed(name) + (f" (extra {extra[1]})" if extra else "")
    return found


def installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cache() -> dict[str, str]:
    """Where the cache is, and what it holds."""
    models = entries()
    total = sum(entry.size for entry in models)
    found = {"folder": str(cache_folder()), "size": f"{len(models)} models, {total / 1e6:.1f} MB"}
    return found | {entry.name: f"{entry.size / 1e6:.1f} MB" for entry in models}


def processor() -> dict[str, str]:
    """The processor's kind, its features that matter here, and how much of it this process may use."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text_of("/proc/cpuinfo"), re.MULTILINE)
    known = flags[1].split() if flags else []
    features = " ".join(name for name in FEATURES if name in known) if known else "not reported by this system"
    quota = text_of("/sys/fs/cgroup/cpu.max").split()
    share = f"{int(quota[0]) / int(quota[1]):.2g} cores" if len(quota) == 2 and quota[0].isdigit() else "none"
    return {
        "kind": platform.machine(),
        "features": features or "none of those that matter here",
        "cores": str(os.cpu_count()),
        "quota": share,
        "threads": f"{available_threads()} by default",
    }


def text_of(path: str) -> str:
    """A small file of the system's, empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def telemetry() -> dict[str, str]:
    """Whether other libraries have their telemetry switched off, by variable."""
    found = {}
    for name, off in TELEMETRY.items():
        setting = os.environ.get(name, "")
        found[name] = f"{setting} (off)" if setting == off else f"{setting!r} (not switched off)"
    return found


def model_checks(directory: Path) -> list[Check]:
    """Whether an adapter checkpoint's files have the sha256 recorded in its config; reported where none is recorded."""
    try:
        files = ModelConfig.read(directory).files
    except MellowError as error:
        return [Check("bundled model", False, str(error))]
    recorded = {"base.gguf": files.get("base", {}), "trained.safetensors": files.get("weights", {})}
    checks = []
    for name in ("config.json", "tokenizer.json", *recorded):
        path = directory / name
        if not path.is_file():
            checks.append(Check(name, False, "missing"))
            continue
        found, wanted = sha256(path), recorded.get(name, {}).get("sha256")
        report = f"sha256 {found[:16]}, {path.stat().st_size} bytes"
        checks.append(Check(name, wanted in (None, found), report if wanted else f"{report}, not recorded"))
    return checks


def self_test() -> Check:
    """The bundled model's answer about a siren of four seconds."""
    began = time.perf_counter()
    try:
        model = load()
        loaded = time.perf_counter()
        answer = model.ask(siren(), "What sound is this?", choices=OPTIONS)
    except Exception as error:  # whatever is wrong with this machine is what is asked for
        return Check("self-test", False, f"{type(error).__name__}: {error}")
    seconds = f"loaded in {loaded - began:.2f} s, answered in {time.perf_counter() - loaded:.2f} s"
    return Check(
        "self-test", answer.text == OPTIONS[0], f"{answer.text!r} ({max(answer.probabilities):.2f}), {seconds}"
    )


def siren() -> Clip:
    """Four seconds of a tone that rises and falls."""
    time_S = np.arange(4 * RATE) / RATE
    hertz_S = 900 + 350 * np.sin(np.pi * time_S)
    return Clip((0.3 * np.sin(2 * np.pi * np.cumsum(hertz_S) / RATE)).astype(np.float32), RATE, "the self-test's siren")


def without_home(text: str) -> str:
    """A text in which the user's home directory, and with it the user's name, is ~."""
    home = Path.home()
    for path in sorted({str(home), str(home.resolve())}, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, "~")
    return text
