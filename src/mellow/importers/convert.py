"""Checkpoints that others published, once and for all into our own directories; hub models through a cache."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from mellow.checkpoints.cache import models_folder
from mellow.checkpoints.converted import check_converted, converted_name
from mellow.checkpoints.full import write_encoder, write_full
from mellow.checkpoints.names import BUNDLED, HUB
from mellow.checkpoints.obtain import obtain
from mellow.config import ModelConfig
from mellow.encoders import Cnn14Config, EncoderConfig, HtsatConfig, encoder_spec
from mellow.errors import ModelError
from mellow.importers.published import import_cnn14, import_htsat, import_published, read_checkpoint
from mellow.llama import SMOLLM2_135M
from mellow.text.tokenizer import Tokenizer

__all__ = ["cached", "convert", "convert_encoder", "fetch", "import_checkpoint", "published_config"]

log = logging.getLogger(__name__)
REPOSITORY = "soham97/mellow"
TOKENIZER = BUNDLED / "tokenizer.json"  # SmolLM2's: same ids


def published_config() -> ModelConfig:
    """The config of Mellow v0 and v0_s."""
    return ModelConfig(encoder_spec("htsat"), HtsatConfig(), SMOLLM2_135M.to_config(), layout="published")


def convert(
    checkpoint: str | Path,
    directory: str | Path,
    *,
    config: ModelConfig | None = None,
    tokenizer: str | Path = TOKENIZER,
) -> Path:
    """Convert a published Mellow checkpoint to a full checkpoint, which is written completely or not at all.

    config: of another size than Mellow v0; tokenizer: a tokenizer.json with the checkpoint's vocabulary.
    Raises KeyMapError for unknown or missing tensors, ModelError for an unreadable checkpoint, wrong shapes or
    constants, another tokenizer, or a directory that exists already.
    """
    config = config or published_config()
    words = Tokenizer.from_file(tokenizer).backend.get_vocab_size()
    if words != config.llama.vocabulary:
        raise ModelError(
            f"The tokenizer {tokenizer} has {words} tokens and the model {config.llama.vocabulary}; "
            "give the tokenizer of the checkpoint."
        )
    state = import_checkpoint(read_checkpoint(checkpoint), config, what=f"the checkpoint {checkpoint}")
    write_full(directory, config=config, state=_arrays(state), tokenizer=tokenizer)
    return Path(directory)


def convert_encoder(
    checkpoint: str | Path,
    directory: str | Path,
    *,
    encoder: str,
    sizes: EncoderConfig | None = None,
) -> Path:
    """Convert HTS-AT's AudioSet checkpoint or PANNs' CNN14 to a directory with only that encoder.

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
    write_encoder(directory, spec=encoder_spec(encoder), sizes=sizes, state=_arrays(imported))
    return Path(directory)


def _arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in state.items()}


def import_checkpoint(
    state: dict[str, torch.Tensor], config: ModelConfig, *, what: str = "the Mellow checkpoint"
) -> dict[str, torch.Tensor]:
    """The tensors of a published checkpoint under the names of `MellowForConditionalGeneration`."""
    if not isinstance(config.sizes, HtsatConfig) or config.layout != "published":
        raise ModelError("Published Mellow checkpoints have an HTSAT encoder and the published layout.")
    return import_published(state, config.sizes, config.llama, what=what)


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

    def make(directory: Path) -> None:
        source = fetch(name) if name in HUB else Path(name).resolve()
        log.info("converting %s once into %s", source, directory)
        convert(source, directory)

    try:
        return obtain(converted_name(name), make, is_sound=_is_sound)
    except OSError as error:
        raise ModelError(
            f"The cache {error.filename or models_folder()} cannot be written ({error.strerror}); "
            "set MELLOW_CACHE to another folder."
        ) from None


def _is_sound(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    try:
        check_converted(directory)
    except ModelError as error:
        log.warning("%s It is made again.", error)
        return False
    return True
