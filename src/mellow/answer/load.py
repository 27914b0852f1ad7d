"""Names of models to loaded engines."""

from __future__ import annotations

import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from mellow.answer.choose import ChoiceRule
from mellow.answer.facade import Mellow
from mellow.answer.graphs import default_precision, entry_name, open_exported, open_prepared
from mellow.checkpoints.converted import find_converted
from mellow.checkpoints.names import CHECKPOINTS, HUB, NAMED
from mellow.checkpoints.state import check_parts
from mellow.checks import check_kind, shown
from mellow.config import ModelConfig
from mellow.engines.interface import Engine
from mellow.engines.onnx.engine import OnnxEngine
from mellow.errors import ModelError, QuestionError
from mellow.events import StepClock
from mellow.graphs.write import PRECISIONS
from mellow.processor import ClipPolicy, Processor
from mellow.progress import Progress, silent
from mellow.text.tags import AudioTags, TagSettings
from mellow.text.tokenizer import Tokenizer

__all__ = ["ENGINES", "load", "model_directory", "with_torch"]

ENGINES = ("auto", "onnx", "torch")
CONVERSION = "mellow.importers.convert"
TORCH_ONLY = ("float32", "bfloat16")
TORCH_PRECISIONS = (*TORCH_ONLY, "int8")
DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d+)?")
MOST_THREADS = 256  # more than the cores of a machine slow it down, and thousands exhaust it


def load(
    name: str | Path = "mini",
    *,
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    policy: ClipPolicy | None = None,
    progress: Progress = silent,
) -> Mellow:
    """Load a model.

    name: `mini` (bundled, works offline); `v0` or `v0_s` (published, fetched from the hub and converted once); the path
        of such a checkpoint (`.ckpt`); or a directory that `mellow train`, `convert` or `export` has written.
    engine: `onnx` (ONNX Runtime on the CPU, needs no torch), `torch`, or `auto`: `onnx` for every model on a Llama,
        unless device or dtype ask for torch.
    device: `auto`, `cpu`, or, with torch, `cuda` or `mps`.
    dtype: precision of the weights, or `auto`. `onnx`: `int8` (auto for adapter checkpoints such
        as mini), `int4`, `fp16`, `fp32` (auto for full checkpoints such as v0), or what graphs were exported in;
        `torch`: `float32` (auto), `bfloat16`, or `int8` on the CPU.
    threads: of each ONNX Runtime session; all cores, at most 8, where it is not given.
    policy: for clips that are not 10 s long, where the layout's own is not wanted.
    progress: called with (step, done, total) while a model is prepared for the first time; what happens is also logged.
    Raises ModelError for an unknown name, a directory with a missing or damaged part, an impossible device or
    precision, or where torch is needed and not installed.
    """
    check_kinds(name, engine=engine, device=device, dtype=dtype, threads=threads, policy=policy)
    check_names(engine=engine, device=device, dtype=dtype, threads=threads)
    directory = model_directory(name)
    config = ModelConfig.read(directory)
    reason = "the engine torch" if engine == "torch" else needs_torch(config, directory, device=device, dtype=dtype)
    if reason and engine == "onnx":
        raise ModelError(f"{reason[:1].upper()}{reason[1:]} needs torch, not the engine onnx; leave the engine out.")
    rule, settings = choice_rule(config, directory), TagSettings.from_dict(config.tags) if config.tags else None
    loaded: Engine
    if reason:
        tokenizer = Tokenizer.from_file(directory / "tokenizer.json")
        loaded = open_torch(reason, directory, config, device=device, dtype=dtype, threads=threads)
    else:
        tokenizer, loaded = open_onnx(directory, config, dtype=dtype, threads=threads, progress=progress)
    tags = AudioTags(settings, tokenizer, StepClock.of(config.sizes)) if settings is not None else None
    model = Mellow(loaded, Processor.of(config, tokenizer, policy=policy), tags, rule, str(name))
    model.reload = partial(load, name, engine=engine, device=device, dtype=dtype, threads=threads, policy=policy)
    return model


def check_kinds(name: object, *, threads: object, policy: object, **names: object) -> None:
    """Raise ModelError for arguments of `load` that are of the wrong type."""
    check_kind(name, (str, Path), what="The model", wanted="a name or a Path", error=ModelError)
    for what, given in names.items():
        check_kind(given, str, what=f"The argument {what}", wanted="a string", error=ModelError)
    if threads is not None:
        check_kind(threads, int, what="The argument threads", wanted="a whole number or None", error=ModelError)
    check_kind(
        policy, (ClipPolicy, type(None)), what="The argument policy", wanted="a ClipPolicy or None", error=ModelError
    )


def check_names(*, engine: str, device: str, dtype: str, threads: int | None) -> None:
    """Raise ModelError for what there never is, whatever the model and the machine."""
    for what, asked, known in (
        ("engine", engine, ENGINES),
        ("precision", dtype, ("auto", *PRECISIONS, *TORCH_ONLY)),
    ):
        if asked not in known:
            raise ModelError(f"There is no {what} {shown(asked)}; use {', '.join(known[:-1])} or {known[-1]}.")
    if not DEVICE.fullmatch(str(device)):
        raise ModelError(f"There is no device {shown(device)}; use auto, cpu, cuda or mps.")
    if threads is not None and not (isinstance(threads, int) and 1 <= threads <= MOST_THREADS):
        raise ModelError(f"There cannot be {shown(threads)} threads; give 1 to {MOST_THREADS}, or none for all cores.")


def model_directory(name: str | Path) -> Path:
    """The directory behind a model's name; hub models and checkpoints are converted into the cache once, with torch.

    A Path is never a name: `Path("v0")` is a directory here.
    """
    text = str(name)
    if text.endswith(CHECKPOINTS) and not Path(text).is_file():
        raise ModelError(f"The checkpoint {text!r} is missing; check the path or fetch it again.")
    if name in HUB or text.endswith(CHECKPOINTS):
        found = find_converted(text)
        return found if found is not None else with_torch(f"the published model {text!r}", CONVERSION).cached(text)
    directory = NAMED.get(text, Path(text)) if isinstance(name, str) else Path(name)
    if not text or not os.path.isdir(directory):  # where Path.is_dir raises: for names that are too long
        known = ", ".join([*NAMED, *HUB])
        is_file = os.path.isfile(directory)
        what = f"{shown(text)} is a file, not a model" if is_file else f"There is no model {shown(text)}"
        raise ModelError(f"{what}; use {known}, a v0.ckpt, or the directory of a model.")
    return directory


def needs_torch(config: ModelConfig, directory: Path, *, device: str, dtype: str) -> str:
    """What of all this ONNX Runtime cannot do, as the beginning of a sentence; empty: nothing."""
    if device not in ("auto", "cpu"):
        return f"the device {device!r}"
    if dtype in TORCH_ONLY:
        return f"the precision {dtype}"
    return "" if config.is_llama else f"the model {directory}, whose language model is no Llama,"


def open_onnx(
    directory: Path, config: ModelConfig, *, dtype: str, threads: int | None, progress: Progress
) -> tuple[Tokenizer, OnnxEngine]:
    """Tokenizer and engine of a directory of graphs, or of a checkpoint, whose graphs are prepared once."""
    precision = default_precision(config) if dtype == "auto" else dtype
    opening: Future[OnnxEngine | None]
    with ThreadPoolExecutor(1) as pool:  # ONNX Runtime leaves Python free meanwhile, reading a tokenizer does not
        if config.files.get("graphs"):
            opening = pool.submit(open_exported, directory, config, dtype=dtype, threads=threads)
        else:
            check_parts(directory, config)
            entry = entry_name(directory, config, precision=precision)
            opening = pool.submit(open_prepared, entry, threads=threads)
        tokenizer = Tokenizer.from_file(directory / "tokenizer.json")
        opened = opening.result()
    if opened is None:
        from mellow.answer.prepare import prepare  # slow to import, and needed once

        opened = prepare(directory, config, entry=entry, precision=precision, threads=threads, progress=progress)
    return tokenizer, opened


def open_torch(
    reason: str, directory: Path, config: ModelConfig, *, device: str, dtype: str, threads: int | None
) -> Engine:
    if threads is not None:
        raise ModelError("Threads can be chosen for the engine onnx only; set OMP_NUM_THREADS for torch.")
    if dtype not in ("auto", *TORCH_PRECISIONS):
        raise ModelError(f"The engine torch has no precision {dtype!r}; use {', '.join(TORCH_ONLY)} or int8.")
    if config.files.get("graphs"):
        raise ModelError(
            f"The directory {directory} holds graphs for the engine onnx; name the model that they were made from."
        )
    dtype = "float32" if dtype == "auto" else dtype
    engine: Engine = with_torch(reason).open_with_torch(directory, device=device, dtype=dtype)
    return engine


def with_torch(reason: str, module: str = "mellow.engines.torch.loading") -> Any:
    """A module that needs torch; ModelError, beginning with the reason, where torch is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "mellow":
            raise
        raise ModelError(
            f"{reason[:1].upper()}{reason[1:]} needs torch: pip install 'mellow-audio[train]' "
            f"(the package {error.name} is missing)."
        ) from None


def choice_rule(config: ModelConfig, directory: Path) -> ChoiceRule:
    try:
        return ChoiceRule(**config.choice)
    except (TypeError, QuestionError) as error:
        raise ModelError(f"{directory / 'config.json'} has an impossible rule for choices ({error}).") from None
