"""Importers of the checkpoints that others published, by total key maps: unknown or missing names are errors.

Mellow v0 and v0_s (`soham97/mellow`), HTS-AT's AudioSet model (`HTSAT_AudioSet_Saved_1.ckpt`) and PANNs' CNN14
(`Cnn14_mAP=0.431.pth`). "Ours" are the tensor names of our modules, "theirs" those of the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mellow.audio import HTSAT, mel_filters
from mellow.config import ModelConfig
from mellow.encoders import Cnn14Config, HtsatConfig, encoder_spec
from mellow.encoders.shapes import Shapes
from mellow.errors import KeyMapError, ModelError
from mellow.llama import SMOLLM2_135M, LlamaSpec
from mellow.model.swin import relative_position_index, shift_mask

__all__ = [
    "KeyMap",
    "htsat_key_map",
    "import_cnn14",
    "import_htsat",
    "import_published",
    "published_key_map",
    "read_checkpoint",
]

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
COUNTER = "num_batches_tracked"
FIXED_TOLERANCE = 1e-4  # of the largest value: constants were computed by other versions of other libraries
STAND_INS = ("pytorch_lightning.", "lightning.", "numpy.")  # bookkeeping of trainers, which carries no weights


# --- reading files --------------------------------------------------------------------------------------------------


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a `torch.save` file, memory-mapped where its format allows; no code of the file is run.

    Lightning's `state_dict` and PANNs' `model` are opened, and `module.` or `sed_model.` cut where every name has it.
    Raises ModelError when the file is missing, unreadable, or holds something else than named tensors.
    """
    if not Path(path).is_file():
        raise ModelError(f"The checkpoint {str(path)!r} is missing; check the path or fetch it again.")
    try:
        mapped = zipfile.is_zipfile(path)  # files older than torch 1.6 cannot be mapped
        with torch.serialization.safe_globals(_stand_ins(path) if mapped else []):
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged file can raise nearly anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"The checkpoint {str(path)!r} is damaged or no plain torch file ({reason}); fetch it again."
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ModelError(f"The checkpoint {str(path)!r} holds no named tensors; give a state dict.")
    state = {str(name): tensor for name, tensor in found.items()}
    for prefix in ("module.", "sed_model."):
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


class _StandIn:
    """Replaces a trainer's classes, which Lightning checkpoints contain besides the weights."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _stand_ins(path: str | Path) -> list[Any]:
    names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    split = [name.rpartition(".") for name in names if name.startswith(STAND_INS)]
    return [type(name, (_StandIn,), {"__module__": module}) for module, _, name in split]


# --- key maps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyMap:
    """What becomes of each tensor of a checkpoint; a name that is in none of the five places is an error.

    mapped: our name -> theirs; theirs has to be there.
    counters: our name -> theirs; counts of training steps, zero where absent.
    fixed: their name -> the constant that it has to hold where present.
    tied: their name -> their other name, whose values it has to repeat where present.
    unused: their names that nothing reads.
    """

    mapped: dict[str, str]
    counters: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Callable[[], torch.Tensor]] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    unused: frozenset[str] = frozenset()

    @property
    def known(self) -> set[str]:
        """All of their names."""
        return {*self.mapped.values(), *self.counters.values(), *self.fixed, *self.tied, *self.unused}

    def under(self, ours: str, theirs: str) -> KeyMap:
        """The same map for a part of a larger model: prefixes for our and their names."""
        return KeyMap(
            mapped={ours + our: theirs + their for our, their in self.mapped.items()},
            counters={ours + our: theirs + their for our, their in self.counters.items()},
            fixed={theirs + their: constant for their, constant in self.fixed.items()},
            tied={theirs + their: theirs + other for their, other in self.tied.items()},
            unused=frozenset(theirs + their for their in self.unused),
        )

    def __or__(self, other: KeyMap) -> KeyMap:
        return KeyMap(
            self.mapped | other.mapped,
            self.counters | other.counters,
            self.fixed | other.fixed,
            self.tied | other.tied,
            self.unused | other.unused,
        )

    def rename(self, state: Mapping[str, torch.Tensor], shapes: Shapes, *, what: str) -> dict[str, torch.Tensor]:
        """Their tensors under our names, float32, sharing memory with theirs where these are float32 already.

        shapes: of each of our tensors, but for the counters.
        Raises KeyMapError for unknown or missing names, ModelError for wrong shapes or constants.
        """
        self._check_names(set(state), what)
        for name, constant in self.fixed.items():
            if name in state and not _close(state[name], constant()):
                raise ModelError(f"{name!r} of {what} differs from the constant it should be; its features are others.")
        for name, other in self.tied.items():
            if name in state and not torch.equal(state[name], state[other]):
                raise ModelError(f"{name!r} of {what} should repeat {other!r} and differs; the two cannot be tied.")
        ours = {our: state[their].float() for our, their in self.mapped.items()}
        ours |= {our: state.get(their, torch.tensor(0)).long() for our, their in self.counters.items()}
        for our, tensor in ours.items():
            shape = () if our in self.counters else shapes[our]
            if tensor.shape != shape:
                their = (self.mapped | self.counters)[our]
                raise ModelError(f"{their!r} of {what} has shape {tuple(tensor.shape)}, not {shape}.")
        return ours

    def _check_names(self, found: set[str], what: str) -> None:
        missing, unknown = sorted(set(self.mapped.values()) - found), sorted(found - self.known)
        if missing or unknown:
            lists = [
                f"{len(names)} {kind} ({', '.join(names[:10])}{', ...' if len(names) > 10 else ''})"
                for kind, names in (("missing", missing), ("unknown", unknown))
                if names
            ]
            raise KeyMapError(f"The tensor names of {what} do not fit: {' and '.join(lists)}; give the published file.")


def _close(found: torch.Tensor, constant: torch.Tensor) -> bool:
    if found.shape != constant.shape:
        return False
    found, constant = found.double(), constant.double()
    return bool((found - constant).abs().max() <= FIXED_TOLERANCE * constant.abs().max())


def _batch_norms(names: Mapping[str, str]) -> KeyMap:
    """Our name -> theirs of batch norms, spelled out."""
    return KeyMap(
        mapped={f"{our}.{part}": f"{their}.{part}" for our, their in names.items() for part in BATCH_NORM},
        counters={f"{our}.{COUNTER}": f"{their}.{COUNTER}" for our, their in names.items()},
    )


def _stft_kernels(fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary parts of the Hann-windowed Fourier kernels, each (fft // 2 + 1, 1, fft), as torchlibrosa's."""
    sample_N = torch.arange(fft)
    turns_KN = sample_N[: fft // 2 + 1, None] * sample_N % fft  # whole turns cut while the numbers are exact
    angle_KN = turns_KN.double() * (2 * torch.pi / fft)
    hann_N = torch.hann_window(fft, periodic=True, dtype=torch.float64)
    return (angle_KN.cos() * hann_N).float()[:, None], (-angle_KN.sin() * hann_N).float()[:, None]


def _front_end(mel_bins: int) -> dict[str, Callable[[], torch.Tensor]]:
    front_end = replace(HTSAT, mel_bins=mel_bins)
    return {
        "spectrogram_extractor.stft.conv_real.weight": lambda: _stft_kernels(front_end.fft)[0],
        "spectrogram_extractor.stft.conv_imag.weight": lambda: _stft_kernels(front_end.fft)[1],
        "logmel_extractor.melW": lambda: torch.tensor(mel_filters(front_end)),
    }


# --- HTSAT ----------------------------------------------------------------------------------------------------------


def htsat_key_map(config: HtsatConfig | None = None) -> dict[str, str]:
    """Our name -> theirs, for each weight of HTSAT (batch norm's counter, constants and the unused `head` left out)."""
    return _htsat(config or HtsatConfig()).mapped


def import_htsat(
    state: Mapping[str, torch.Tensor], config: HtsatConfig | None = None, *, what: str = "the HTSAT checkpoint"
) -> dict[str, torch.Tensor]:
    """The tensors of HTS-AT (names as `read_checkpoint` leaves them) under the names of our `Htsat`.

    Raises KeyMapError for unknown or missing names, ModelError for wrong shapes or constants.
    """
    config = config or HtsatConfig()
    return _htsat(config).rename(state, config.shapes(), what=what)


def _htsat(config: HtsatConfig) -> KeyMap:
    names = {"patch": "patch_embed.proj", "patch_norm": "patch_embed.norm", "norm": "norm", "scores": "tscam_conv"}
    linears = {"norm1": "norm1", "qkv": "attn.qkv", "proj": "attn.proj", "norm2": "norm2"}
    linears |= {"fc1": "mlp.fc1", "fc2": "mlp.fc2"}
    weights: dict[str, str] = {}
    fixed = _front_end(config.mel_bins)
    for stage, (depth, grid) in enumerate(zip(config.depths, config.grids, strict=True)):
        window = min(config.window, grid)
        for i in range(depth):
            ours, theirs = f"stages.{stage}.blocks.{i}", f"layers.{stage}.blocks.{i}"
            names |= {f"{ours}.{our}": f"{theirs}.{their}" for our, their in linears.items()}
            weights[f"{ours}.position_bias"] = f"{theirs}.attn.relative_position_bias_table"
            fixed[f"{theirs}.attn.relative_position_index"] = partial(relative_position_index, window)
            if i % 2 and grid > window:
                fixed[f"{theirs}.attn_mask"] = partial(shift_mask, grid, window, window // 2)
        if stage < len(config.depths) - 1:
            names[f"stages.{stage}.merge.norm"] = f"layers.{stage}.downsample.norm"
            weights[f"stages.{stage}.merge.reduction.weight"] = f"layers.{stage}.downsample.reduction.weight"
    weights |= {f"{our}.{part}": f"{their}.{part}" for our, their in names.items() for part in ("weight", "bias")}
    unused = frozenset({"head.weight", "head.bias"})
    return KeyMap(mapped=weights, fixed=fixed, unused=unused) | _batch_norms({"bn0": "bn0"})


# --- CNN14 ----------------------------------------------------------------------------------------------------------


def import_cnn14(
    state: Mapping[str, torch.Tensor], config: Cnn14Config | None = None, *, what: str = "the CNN14 checkpoint"
) -> dict[str, torch.Tensor]:
    """The tensors of PANNs' Cnn14 (names as `read_checkpoint` leaves them) under the names of our `Cnn14`.

    Raises KeyMapError for unknown or missing names, ModelError for wrong shapes or constants.
    """
    config = config or Cnn14Config()
    return _cnn14(config).rename(state, config.shapes(), what=what)


def _cnn14(config: Cnn14Config) -> KeyMap:
    blocks = {f"blocks.{i}": f"conv_block{i + 1}" for i in range(len(config.widths))}
    weights = {f"{our}.conv{n}.weight": f"{their}.conv{n}.weight" for our, their in blocks.items() for n in (1, 2)}
    for our, their in (("fc1", "fc1"), ("scores", "fc_audioset")):
        weights |= {f"{our}.{part}": f"{their}.{part}" for part in ("weight", "bias")}
    norms = {f"{our}.bn{n}": f"{their}.bn{n}" for our, their in blocks.items() for n in (1, 2)}
    return KeyMap(mapped=weights, fixed=_front_end(config.mel_bins)) | _batch_norms({"bn0": "bn0"} | norms)


# --- Mellow v0 ------------------------------------------------------------------------------------------------------


def published_key_map(encoder: HtsatConfig | None = None, language_model: LlamaSpec | None = None) -> KeyMap:
    """What becomes of each of the 479 tensors of a published Mellow checkpoint (v0's sizes by default).

    Our names begin with `encoder.` (`Htsat`), `mapper.` (`PublishedMapper`) or `language_model.` (transformers'
    LlamaForCausalLM, whose `lm_head.weight` is the embedding).
    """
    both, embedding = ("weight", "bias"), "model.embed_tokens.weight"
    projection = {f"mapper.norm.{part}": f"layer_norm.{part}" for part in both}
    projection |= {f"mapper.linear{n}.weight": f"linear{n}.weight" for n in (1, 2)}
    llama = {name: name for name in (language_model or SMOLLM2_135M).shapes()} | {"lm_head.weight": embedding}
    return (
        _htsat(encoder or HtsatConfig()).under("encoder.", "audio_encoder.base.htsat.")
        | KeyMap({f"mapper.class_to_latent.{part}": f"c2l.{part}" for part in both}).under("", "audio_encoder.base.")
        | KeyMap(projection).under("", "audio_encoder.projection.")
        | KeyMap(llama, tied={"lm_head.weight": embedding}).under("language_model.", "caption_decoder.lm.")
    )


def import_published(
    state: Mapping[str, torch.Tensor],
    encoder: HtsatConfig | None = None,
    language_model: LlamaSpec | None = None,
    *,
    what: str = "the Mellow checkpoint",
) -> dict[str, torch.Tensor]:
    """The tensors of a published Mellow checkpoint under our names (`published_key_map`).

    Raises KeyMapError for unknown or missing names, ModelError for wrong shapes or constants.
    """
    config = ModelConfig(
        encoder_spec("htsat"),
        encoder or HtsatConfig(),
        (language_model or SMOLLM2_135M).to_config(),
        layout="published",
    )
    shapes = config.shapes()
    shapes["language_model.lm_head.weight"] = shapes["language_model.model.embed_tokens.weight"]
    key_map = published_key_map(encoder, language_model)
    return key_map.rename(state, shapes, what=what)
