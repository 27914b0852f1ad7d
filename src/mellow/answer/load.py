"""Names of models to loaded engines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mellow.answer.choose import ChoiceRule
from mellow.answer.facade import Mellow
from mellow.answer.graphs import DEFAULT_PRECISION, check_parts, entry_name, open_exported, open_prepared
from mellow.checks import check_kind, shown
from mellow.engine import Engine
from mellow.errors import ModelError, QuestionError
from mellow.processor import ClipPolicy, Processor
from mellow.runtime.engine import OnnxEngine
from mellow.runtime.write import PRECISIONS
from mellow.stored.names import CHECKPOINTS, HUB, NAMED
from mellow.stored.settings import check_settings, read_settings
from mellow.stored.shapes import has_shapes
from mellow.text.tokenizer import Tokenizer

__all__ = ["ENGINES", "load", "model_directory", "processor_of", "with_torch"]

ENGINES = ("auto", "onnx", "torch")
TORCH_ONLY = ("float32", "bfloat16")


def load(
    name: str | Path = "mini",
    *,
    engine: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    policy: ClipPolicy | None = None,
) -> Mellow:
    """Load a model.

    name: `mini` (bundled, works offline); `v0` or `v0_s` (published, fetched from the hub and converted once); the path
        of such a checkpoint (`.ckpt`); or a directory that `mellow train`, `convert` or `export` has written.
    engine: `onnx` (ONNX Runtime on the CPU, needs no torch), `torch`, or `auto`: `onnx` for graphs and for two-part
        models of CED on a Llama, unless device or dtype ask for torch.
    device: `auto`, `cpu`, or, with torch, `cuda` or `mps`.
    dtype: precision of the weights, or `auto`. `onnx`: `int8` (auto), `int4`, `fp16`, `fp32`, or what graphs were
        exported in; `torch`: `float32` (auto), `bfloat16`, or `int8` on the CPU.
    threads: of each ONNX Runtime session; all cores, at most 8, where it is not given.
    policy: for clips that are not 10 s long, where the layout's own is not wanted.
    Raises ModelError for an unknown name, a directory with a missing or damaged part, an impossible device or
    precision, or where torch is needed and not installed.
    """
    check_kinds(name, engine=engine, device=device, dtype=dtype, threads=threads, policy=policy)
    for what, asked, known in (
        ("engine", engine, ENGINES),
        ("precision", dtype, ("auto", *PRECISIONS, *TORCH_ONLY)),
    ):
        if asked not in known:
            raise ModelError(f"There is no {what} {shown(asked)}; use {', '.join(known)}.")
    if threads is not None and threads < 1:
        raise ModelError(f"There cannot be {shown(threads)} threads; give at least 1, or none to use all cores.")
    directory = model_directory(name)
    settings = read_settings(directory)
    check_settings(settings)
    reason = "the engine torch" if engine == "torch" else needs_torch(settings, directory, device=device, dtype=dtype)
    if reason and engine == "onnx":
        raise ModelError(f"{reason[:1].upper()}{reason[1:]} needs torch, not the engine onnx; leave the engine out.")
    rule = choice_rule(settings, directory)
    loaded: Engine
    if reason:
        tokenizer = Tokenizer.from_file(directory / "tokenizer.json")
        loaded = open_torch(reason, directory, settings, device=device, dtype=dtype, threads=threads)
    else:
        tokenizer, loaded = open_onnx(directory, settings, dtype=dtype, threads=threads)
    return Mellow(loaded, processor_of(settings, tokenizer, policy=policy), rule, str(name))


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


def model_directory(name: str | Path) -> Path:
    """The directory behind a model's name; hub models and checkpoints are converted into the cache first.

    A Path is never a name: `Path("v0")` is a directory here.
    """
    text = str(name)
    if name in HUB or text.endswith(CHECKPOINTS):
        directory: Path = with_torch(f"the published model {text!r}").convert_once(text)
        return directory
    directory = NAMED.get(text, Path(text)) if isinstance(name, str) else Path(name)
    if not text or not os.path.isdir(directory):  # where Path.is_dir raises: for names that are too long
        known = ", ".join([*NAMED, *HUB])
        raise ModelError(f"There is no model {shown(text)}; use {known}, a v0.ckpt, or the directory of a model.")
    return directory


def needs_torch(settings: Mapping[str, Any], directory: Path, *, device: str, dtype: str) -> str:
    """What of all this ONNX Runtime cannot do, as the beginning of a sentence; empty: nothing."""
    if device not in ("auto", "cpu"):
        return f"the device {device!r}"
    if dtype in TORCH_ONLY:
        return f"the precision {dtype}"
    if "graphs" in settings or (settings.get("base") and has_shapes(settings)):
        return ""
    return f"the model {directory}, which is neither exported graphs nor CED on a Llama in two parts,"


def open_onnx(
    directory: Path, settings: Mapping[str, Any], *, dtype: str, threads: int | None
) -> tuple[Tokenizer, OnnxEngine]:
    """Tokenizer and engine of a directory of graphs, or of a two-part model, which is prepared once."""
    precision = DEFAULT_PRECISION if dtype == "auto" else dtype
    opening: Future[OnnxEngine | None]
    with ThreadPoolExecutor(1) as pool:  # ONNX Runtime leaves Python free meanwhile, reading a tokenizer does not
        if "graphs" in settings:
            opening = pool.submit(open_exported, directory, settings, dtype=dtype, threads=threads)
        else:
            check_parts(directory, settings)
            entry = entry_name(directory, precision=precision)
            opening = pool.submit(open_prepared, entry, threads=threads)
        tokenizer = Tokenizer.from_file(directory / "tokenizer.json")
        opened = opening.result()
    if opened is None:
        from mellow.answer.merging import merge  # slow to import, and needed once

        opened = merge(directory, settings, entry=entry, precision=precision, threads=threads)
    return tokenizer, opened


def open_torch(
    reason: str, directory: Path, settings: Mapping[str, Any], *, device: str, dtype: str, threads: int | None
) -> Engine:
    if threads is not None:
        raise ModelError("Threads can be chosen for the engine onnx only; set OMP_NUM_THREADS for torch.")
    if "graphs" in settings:
        raise ModelError(f"{directory} holds graphs for the engine onnx; name the model that they were made from.")
    dtype = "float32" if dtype == "auto" else dtype
    engine: Engine = with_torch(reason).open_with_torch(directory, device=device, dtype=dtype)
    return engine


def with_torch(reason: str) -> Any:
    """The module that loads with torch; ModelError, beginning with the reason, where torch is not installed."""
    try:
        from mellow.answer import torch_model
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "mellow":
            raise
        raise ModelError(
            f"{reason[:1].upper()}{reason[1:]} needs torch: pip install 'mellow-audio[train]' "
            f"(the package {error.name} is missing)."
        ) from None
    return torch_model


def processor_of(settings: Mapping[str, Any], tokenizer: Tokenizer, *, policy: ClipPolicy | None = None) -> Processor:
    """The processor that fits a model's config."""
    mel_bins = int((settings.get("encoder_config") or {}).get("mel_bins", 64))
    kinds = {name: settings[name] for name in ("encoder", "layout") if name in settings}
    return Processor.of(tokenizer, **kinds, mel_bins=mel_bins, policy=policy)


def choice_rule(settings: Mapping[str, Any], directory: Path) -> ChoiceRule:
    try:
        return ChoiceRule(**(settings.get("choice") or {}))
    except (TypeError, QuestionError) as error:
        raise ModelError(f"{directory / 'config.json'} has an impossible rule for choices ({error}).") from None
