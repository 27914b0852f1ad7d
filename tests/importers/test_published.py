"""Importers of published checkpoints: total key maps on tiny sizes, and parity with the original on the full size.

The parity kit (generated weights, golden outputs) lies in the folder MELLOW_PARITY_KIT, by default `../shared/parity`
beside the repository; tests that need it are skipped without it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mellow.audio import HTSAT, log_mel
from mellow.encoders import Cnn14Config, HtsatConfig
from mellow.errors import KeyMapError, ModelError
from mellow.importers import published
from mellow.importers.published import (
    KeyMap,
    htsat_key_map,
    import_cnn14,
    import_htsat,
    import_published,
    published_key_map,
    read_checkpoint,
)
from mellow.llama import SMOLLM2_135M
from mellow.model.cnn14 import Cnn14
from mellow.model.encoder import EncoderOutput
from mellow.model.htsat import Htsat
from mellow.model.mapper_published import PublishedMapper

State = dict[str, torch.Tensor]

TINY = HtsatConfig(mel_bins=16, chunks=2, width=8, depths=(2, 1), heads=(2, 4), window=4, mlp_ratio=2, classes=5)
TINY_CNN14 = Cnn14Config(mel_bins=8, widths=(4, 6, 8), classes=5)
TINY_LANGUAGE_MODEL = replace(
    SMOLLM2_135M, vocabulary=11, width=12, inner=16, head_width=4, layers=2, heads=3, key_heads=1
)


def randomise(module: nn.Module) -> State:
    """A module's tensors with values that differ from those of any other."""
    torch.manual_seed(0)
    return {
        name: torch.tensor(7) if tensor.dtype == torch.int64 else torch.rand_like(tensor)
        for name, tensor in module.state_dict().items()
    }


def theirs(key_map: KeyMap, ours: State, *, fixed: bool = True) -> State:
    """A checkpoint as its authors would have written it."""
    state = {their: ours[our] for our, their in (key_map.mapped | key_map.counters).items()}
    state |= {name: constant() for name, constant in key_map.fixed.items() if fixed}
    state |= {name: state[other] for name, other in key_map.tied.items()}
    return state | {name: torch.rand(3) for name in key_map.unused}


def equal(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def ours() -> State:
    """A whole tiny model under our names."""
    torch.manual_seed(0)
    mapper = PublishedMapper(frame_width=5, latent_width=16, width=12)
    parts = {"encoder.": randomise(Htsat(TINY)), "mapper.": randomise(mapper)}
    shapes = TINY_LANGUAGE_MODEL.shapes()
    parts["language_model."] = {name: torch.rand(shape) for name, shape in shapes.items()}
    parts["language_model."]["lm_head.weight"] = parts["language_model."]["model.embed_tokens.weight"]
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


@pytest.fixture
def checkpoint(ours: State) -> State:
    return theirs(published_key_map(TINY, TINY_LANGUAGE_MODEL), ours)


# --- total key maps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [True, False])
def test_round_trip_of_a_whole_checkpoint(ours: State, fixed: bool) -> None:
    state = theirs(published_key_map(TINY, TINY_LANGUAGE_MODEL), ours, fixed=fixed)
    assert equal(import_published(state, TINY, TINY_LANGUAGE_MODEL), ours)


def test_round_trip_of_htsat() -> None:
    ours = randomise(Htsat(TINY))
    state = theirs(published._htsat(TINY), ours)
    imported = import_htsat(state, TINY)
    assert equal(imported, ours)
    Htsat(TINY).load_state_dict(imported)
    assert set(htsat_key_map(TINY)) == set(ours) - {"bn0.num_batches_tracked"}


def test_round_trip_of_cnn14() -> None:
    ours = randomise(Cnn14(TINY_CNN14))
    state = theirs(published._cnn14(TINY_CNN14), ours)
    assert {"conv_block1.conv1.weight", "conv_block3.bn2.running_var", "fc_audioset.bias", "bn0.weight"} < set(state)
    imported = import_cnn14(state, TINY_CNN14)
    assert equal(imported, ours)
    Cnn14(TINY_CNN14).load_state_dict(imported)


def test_optional_tensors_may_be_absent(ours: State, checkpoint: State) -> None:
    key_map = published_key_map(TINY, TINY_LANGUAGE_MODEL)
    for name in {*key_map.fixed, *key_map.counters.values(), *key_map.unused, *key_map.tied}:
        del checkpoint[name]
    expected = {**ours, "encoder.bn0.num_batches_tracked": torch.tensor(0)}
    assert equal(import_published(checkpoint, TINY, TINY_LANGUAGE_MODEL), expected)


def test_every_missing_weight_is_named(checkpoint: State) -> None:
    for name in set(published_key_map(TINY, TINY_LANGUAGE_MODEL).mapped.values()):
        with pytest.raises(KeyMapError, match=f"1 missing .{name}.; give"):
            import_published({k: v for k, v in checkpoint.items() if k != name}, TINY, TINY_LANGUAGE_MODEL)


def test_unknown_names_are_counted_and_the_first_ten_listed(checkpoint: State) -> None:
    extra = {f"extra.{i:02}": torch.zeros(1) for i in range(12)}
    with pytest.raises(KeyMapError, match=r"12 unknown \(extra\.00, .*extra\.09, \.\.\.\)") as caught:
        import_published(checkpoint | extra, TINY, TINY_LANGUAGE_MODEL)
    assert "extra.10" not in str(caught.value)


def test_wrong_constants_shapes_and_ties_are_errors(checkpoint: State) -> None:
    prefix = "audio_encoder.base.htsat."
    damaged = {
        f"{prefix}logmel_extractor.melW": "differs from the constant",
        f"{prefix}spectrogram_extractor.stft.conv_imag.weight": "differs from the constant",
        f"{prefix}layers.0.blocks.1.attn_mask": "differs from the constant",
        f"{prefix}layers.1.blocks.0.attn.relative_position_index": "differs from the constant",
        "caption_decoder.lm.lm_head.weight": "should repeat",
    }
    for name, message in damaged.items():
        changed = checkpoint[name].clone()
        changed.view(-1)[changed.abs().argmax()] += 1
        with pytest.raises(ModelError, match=f"{name}.*{message}"):
            import_published(checkpoint | {name: changed}, TINY, TINY_LANGUAGE_MODEL)
    for name in ("audio_encoder.base.c2l.bias", f"{prefix}bn0.weight", "caption_decoder.lm.model.norm.weight"):
        with pytest.raises(ModelError, match=rf"{name}.* has shape \(3,\), not \(\d+,\)"):
            import_published(checkpoint | {name: torch.ones(3)}, TINY, TINY_LANGUAGE_MODEL)
    with pytest.raises(ModelError, match="differs from the constant"):
        import_published(checkpoint | {f"{prefix}logmel_extractor.melW": torch.ones(3)}, TINY, TINY_LANGUAGE_MODEL)


def test_half_precision_becomes_float32_and_float32_is_not_copied(checkpoint: State) -> None:
    name = "audio_encoder.base.c2l.weight"
    imported = import_published(checkpoint, TINY, TINY_LANGUAGE_MODEL)
    assert imported["mapper.class_to_latent.weight"].data_ptr() == checkpoint[name].data_ptr()
    imported = import_published(checkpoint | {name: checkpoint[name].half()}, TINY, TINY_LANGUAGE_MODEL)
    assert imported["mapper.class_to_latent.weight"].dtype == torch.float32


def test_language_model_names_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="the names are checked against transformers")
    config = transformers.LlamaConfig(**TINY_LANGUAGE_MODEL.to_config())
    expected = {name: tensor.shape for name, tensor in transformers.LlamaForCausalLM(config).state_dict().items()}
    del expected["lm_head.weight"]  # tied
    assert TINY_LANGUAGE_MODEL.shapes() == expected
    assert config.rope_parameters["rope_theta"] == 100_000


def test_stft_kernels_are_torchlibrosas() -> None:
    fft = 64  # its formula: powers of the root of unity, real and imaginary parts under a periodic Hann window
    powers = np.power(np.exp(-2j * np.pi / fft), np.outer(np.arange(fft), np.arange(fft)))[:, : fft // 2 + 1]
    windowed = (powers * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft) / fft))[:, None]).T
    for found, expected in zip(published._stft_kernels(fft), (windowed.real, windowed.imag), strict=True):
        np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-6)


# --- the mapper -----------------------------------------------------------------------------------------------------


def test_mapper_equals_the_original_order_of_steps() -> None:
    """1 + 1024 rows through the projection, then an average over 8 frames: the slow way of the original."""
    torch.manual_seed(3)
    mapper = PublishedMapper(frame_width=5, latent_width=16, width=12).eval()
    encoded = EncoderOutput(torch.rand(2, 32, 5), torch.randn(2, 16), torch.zeros(2, 32, 5), torch.zeros(2, 5))
    with torch.no_grad():
        frames = mapper.class_to_latent(encoded.frames_BTE.repeat_interleave(32, 1))
        first = mapper.linear1(torch.cat([encoded.latent_BE[:, None], frames], 1))
        rows = mapper.norm(first + mapper.linear2(nn.functional.gelu(first)))
        expected = torch.cat([rows[:, :1], rows[:, 1:].reshape(2, 128, 8, 12).mean(2)], 1)
        found = mapper(encoded)
    assert found.shape == (2, 129, 12)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_mapper_drops_in_training_only() -> None:
    mapper = PublishedMapper(frame_width=5, latent_width=16, width=12)
    encoded = EncoderOutput(torch.rand(1, 3, 5), torch.randn(1, 16), torch.zeros(1, 3, 5), torch.zeros(1, 5))
    assert not torch.equal(mapper(encoded), mapper(encoded))
    mapper.eval()
    assert torch.equal(mapper(encoded), mapper(encoded))


# --- reading files --------------------------------------------------------------------------------------------------

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {f"module.{name}": tensor for name, tensor in WEIGHTS.items()},
        {"model": WEIGHTS, "iteration": 3},
        {"state_dict": {f"sed_model.{name}": tensor for name, tensor in WEIGHTS.items()}, "epoch": 3},
    ],
    ids=["plain", "module", "panns", "lightning"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_wrappers_and_prefixes_are_cut(tmp_path: Path, content: dict[str, Any], zipped: bool) -> None:
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    assert equal(read_checkpoint(tmp_path / "x.ckpt"), WEIGHTS)


def test_a_prefix_that_not_all_names_have_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.ckpt")
    assert set(read_checkpoint(tmp_path / "x.ckpt")) == {"module.a", "b"}


def test_bookkeeping_of_lightning_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pytorch_lightning.callbacks")
    module.Saver = type("Saver", (), {"__module__": module.__name__, "best": 1.0})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytorch_lightning", ModuleType("pytorch_lightning"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    saver = module.Saver()
    saver.best = np.float64(0.47)
    content = {"callbacks": {module.Saver: saver}, "state_dict": WEIGHTS}
    torch.save(content, tmp_path / "x.ckpt")
    monkeypatch.undo()
    assert equal(read_checkpoint(tmp_path / "x.ckpt"), WEIGHTS)


class Mischief:
    """Runs a command when unpickled naively."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.path)!r}, 'w')",)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({**WEIGHTS, "c": Mischief(tmp_path / "done")}, tmp_path / "x.ckpt")
    with pytest.raises(ModelError, match="damaged or no plain torch file"):
        read_checkpoint(tmp_path / "x.ckpt")
    assert not (tmp_path / "done").exists()


def test_files_that_are_no_checkpoints_are_errors(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "whole.ckpt")
    whole = (tmp_path / "whole.ckpt").read_bytes()
    for i, content in enumerate([b"", b"not a checkpoint", whole[: len(whole) // 2], b"PK\x05\x06" + bytes(18)]):
        (tmp_path / f"{i}.ckpt").write_bytes(content)
        with pytest.raises(ModelError, match=f"{i}.ckpt' is damaged or no plain torch file"):
            read_checkpoint(tmp_path / f"{i}.ckpt")
    with pytest.raises(ModelError, match=r"none\.ckpt' is missing"):
        read_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], {"epoch": 3}, {"a": torch.ones(1), "epoch": 3}])
def test_files_without_named_tensors_are_errors(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(ModelError, match="no named tensors"):
        read_checkpoint(tmp_path / "x.ckpt")


# --- the published layout, full size --------------------------------------------------------------------------------

KIT = Path(os.environ.get("MELLOW_PARITY_KIT") or Path(__file__).parents[3] / "shared" / "parity")
needs_kit = pytest.mark.skipif(
    not (KIT / "state_dict.json").is_file(), reason=f"no parity kit in {KIT}; set MELLOW_PARITY_KIT"
)

CASES: list[dict[str, Any]] = json.loads((KIT / "golden.json").read_text()) if (KIT / "golden.json").is_file() else []


@needs_kit
def test_all_479_names_of_the_published_layout_are_known() -> None:
    listed = json.loads((KIT / "state_dict.json").read_text())
    kinds = {name: kind.partition(":")[0] for name, _, _, kind in listed}
    shapes = {name: tuple(shape) for name, shape, _, _ in listed}
    key_map = published_key_map()
    assert len(kinds) == 479
    assert key_map.known == set(kinds)
    assert {name for name, kind in kinds.items() if kind == "fixed"} == {*key_map.fixed, *key_map.counters.values()}
    assert {name for name, kind in kinds.items() if kind == "tied"} == set(key_map.tied)
    assert {name for name in kinds if ".head." in name} == key_map.unused
    assert {name: tuple(constant().shape) for name, constant in key_map.fixed.items()} == {
        name: shapes[name] for name in key_map.fixed
    }


@dataclass
class Kit:
    """The original's outputs and our modules with the same weights."""

    weights: ModuleType
    golden: State
    encoder: Htsat
    mapper: PublishedMapper
    separator: torch.Tensor


@pytest.fixture(scope="module")
def kit() -> Kit:
    spec = importlib.util.spec_from_file_location("parity_weights", KIT / "weights.py")
    assert spec is not None and spec.loader is not None
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    state = import_published({name: torch.from_numpy(array) for name, array in weights.tensors().items()})

    def part(prefix: str) -> State:
        return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}

    encoder, mapper = Htsat(HtsatConfig()).eval(), PublishedMapper().eval()
    encoder.load_state_dict(part("encoder."))
    mapper.load_state_dict(part("mapper."))
    separator = state["language_model.model.embed_tokens.weight"][0].clone()
    return Kit(weights, load_file(KIT / "golden.safetensors"), encoder, mapper, separator)


def error(found: torch.Tensor, golden: torch.Tensor) -> float:
    assert found.shape == golden.shape
    return float((found - golden).norm() / golden.norm())


@needs_kit
@pytest.mark.parametrize("case", CASES, ids=[f"case{case['case']}" for case in CASES])
def test_parity_of_encoder_and_audio_tokens(kit: Kit, case: dict[str, Any]) -> None:
    golden = {name.removeprefix(f"case{case['case']}."): tensor for name, tensor in kit.golden.items()}
    seeds = [case[f"audio{i}_seed"] for i in (1, 2)]
    mel_BFM = torch.from_numpy(np.stack([log_mel(kit.weights.waveform(seed), HTSAT) for seed in seeds]))
    with torch.inference_mode():
        encoded = kit.encoder(mel_BFM)
        audio_BKD = kit.mapper(encoded)
    assert error(mel_BFM[0, ::10], golden["logmel_every10th_101x64"]) <= 1e-4
    assert error(encoded.frames_BTE[0], golden["framewise_distinct_32x527"]) <= 1e-4
    assert error(encoded.clip_scores_BC[0].sigmoid(), golden["clipwise_527"]) <= 1e-4
    assert error(encoded.latent_BE[0], golden["latent_768"]) <= 1e-4
    prefix_LD = golden["prefix_389x576"]  # audio 1 (129), SEP, audio 2 (129), SEP, prompt (129)
    assert error(audio_BKD[0], prefix_LD[:129]) <= 1e-3
    assert error(audio_BKD[1], prefix_LD[130:259]) <= 1e-3
    assert torch.equal(prefix_LD[129], kit.separator)
    assert torch.equal(prefix_LD[259], kit.separator)
