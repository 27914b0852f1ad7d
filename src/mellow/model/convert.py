"""Checkpoints that others published, once and for all into our own directories; hub models through a cache."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from mellow.errors import ModelError
from mellow.model.build import encoder_sizes
from mellow.model.cnn14 import Cnn14Config
from mellow.model.configuration import MellowConfig
from mellow.model.htsat import HtsatConfig
from mellow.model.one_part import check_weights, read_config, save_encoder, save_one_part
from mellow.model.published import LANGUAGE_MODEL, import_cnn14, import_htsat, import_published, read_checkpoint
from mellow.stored.cache import models_folder
from mellow.stored.filling import obtain
from mellow.stored.names import BUNDLED, HUB
from mellow.text.tokenizer import Tokenizer

__all__ = ["cached", "convert", "convert_encoder", "fetch", "import_checkpoint", "published_config"]

log = logging.getLogger(__name__)
REPOSITORY = "soham97/mellow"
TOKENIZER = BUNDLED / "tokenizer.json"  # SmolLM2's: same ids

EncoderKind = Literal["htsat", "cnn14"]


def published_config() -> MellowConfig:
    """The config of Mellow v0 and v0_s."""
    return MellowConfig(
        encoder="htsat",
        encoder_config=dataclasses.asdict(HtsatConfig()),
        text_config={"model_type": "llama", **LANGUAGE_MODEL},
        layout="published",
    )


def convert(
    checkpoint: str | Path,
    directory: str | Path,
    *,
    config: MellowConfig | None = None,
    tokenizer: str | Path = TOKENIZER,
) -> Path:
    """Turn a published Mellow checkpoint into a one-part model directory, which is written whole or not at all.

    config: of another size than Mellow v0; tokenizer: a tokenizer.json with the checkpoint's vocabulary.
    Raises KeyMapError for unknown or missing tensors, ModelError for an unreadable checkpoint, wrong shapes or
    constants, an unfit tokenizer, or a directory that exists already.
    """
    config = config or published_config()
    words = Tokenizer.from_file(tokenizer).backend.get_vocab_size()
    if words != config.text_config.vocab_size:
        raise ModelError(
            f"The tokenizer {tokenizer} knows {words} tokens and the model {config.text_config.vocab_size}; "
            "give the tokenizer of the checkpoint."
        )
    state = import_checkpoint(read_checkpoint(checkpoint), config, what=f"the checkpoint {checkpoint}")
    save_one_part(directory, config=config, state=state, tokenizer=tokenizer)
    return Path(directory)


def convert_encoder(
    checkpoint: str | Path,
    directory: str | Path,
    *,
    encoder: EncoderKind,
    sizes: HtsatConfig | Cnn14Config | None = None,
) -> Path:
    """Turn HTS-AT's AudioSet checkpoint or PANNs' CNN14 into a directory of that encoder alone.

    sizes: where they are not the published ones. Raises as `convert` does.
    """
    state, what = read_checkpoint(checkpoint), f"the checkpoint {checkpoint}"
    if encoder == "htsat":
        sizes = sizes if isinstance(sizes, HtsatConfig) else HtsatConfig()
        imported = import_htsat(state, sizes, what=what)
    elif encoder == "cnn14":
        sizes = sizes if isinstance(sizes, Cnn14Config) else Cnn14Config()
        imported = import_cnn14(state, sizes, what=what)
    else:
        raise ModelError(f"No checkpoint of the encoder {encoder!r} can be converted; give htsat or cnn14.")
    save_encoder(directory, encoder=encoder, sizes=dataclasses.asdict(sizes), state=imported)
    return Path(directory)


def import_checkpoint(
    state: dict[str, torch.Tensor], config: MellowConfig, *, what: str = "the Mellow checkpoint"
) -> dict[str, torch.Tensor]:
    """The tensors of a published checkpoint under the names of `MellowForConditionalGeneration`."""
    sizes = encoder_sizes(config)
    if not isinstance(sizes, HtsatConfig) or config.layout != "published":
        raise ModelError("Published Mellow checkpoints have an HTSAT encoder and the published layout.")
    language_model = {name: getattr(config.text_config, name) for name in LANGUAGE_MODEL if name != "rope_theta"}
    return import_published(state, sizes, language_model, what=what)


def fetch(name: str) -> Path:
    """The published checkpoint of a hub model (`v0`, `v0_s`), downloaded once by huggingface_hub."""
    hub_log = logging.getLogger("huggingface_hub")
    level = hub_log.level
    hub_log.setLevel(logging.ERROR)  # its lines about each try add nothing to the error below
    try:
        return Path(hf_hub_download(REPOSITORY, HUB[name]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        log.debug("downloading %s failed", name, exc_info=error)
        raise ModelError(
            f"The model {name!r} cannot be fetched from the hub's {REPOSITORY} ({type(error).__name__}); "
            f"connect to the network, or give the path of a {HUB[name]} that you have."
        ) from None
    finally:
        hub_log.setLevel(level)


def cached(name: str) -> Path:
    """The model directory of a hub model or of a published checkpoint's path, converted once into the user's cache.

    A directory whose weights are not what was recorded is made again. Processes that want the same model wait for one.
    """
    if name in HUB:
        return _cached(name, lambda: fetch(name))
    checkpoint = Path(name).resolve()
    if not checkpoint.is_file():
        raise ModelError(f"The checkpoint {name!r} is missing; check the path or fetch it again.")
    status = checkpoint.stat()
    version = hashlib.sha256(f"{checkpoint}|{status.st_size}|{status.st_mtime_ns}".encode()).hexdigest()[:12]
    return _cached(f"{checkpoint.stem}-{version}", lambda: checkpoint)


def _cached(key: str, checkpoint: Callable[[], Path]) -> Path:
    def make(directory: Path) -> None:
        source = checkpoint()
        log.info("converting %s once into %s", source, directory)
        convert(source, directory)

    try:
        return obtain(key, make, is_sound=_is_sound)
    except OSError as error:
        raise ModelError(
            f"The cache {error.filename or models_folder()} cannot be written ({error.strerror}); "
            "set MELLOW_CACHE to another folder."
        ) from None


def _is_sound(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    try:
        check_weights(directory, read_config(directory).weights)
    except ModelError as error:
        log.warning("%s It is made again.", error)
        return False
    return True
