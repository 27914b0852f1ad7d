"""Precisions and devices: what changes, what does not, and what cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mellow
from mellow.answer.decode import DecodingOptions
from mellow.answer.facade import Mellow
from mellow.engines.torch import quantise as quantising
from mellow.engines.torch.precision import choose_device
from mellow.engines.torch.quantise import Int8Linear, quantise
from mellow.errors import ModelError
from mellow.model.modeling import MellowForConditionalGeneration

Tone = Callable[..., Path]


def model_of(loaded: Mellow) -> MellowForConditionalGeneration:
    return loaded.engine.model  # type: ignore[attr-defined,no-any-return]


def logits_of(loaded: Mellow, clip: Path) -> np.ndarray:
    ear = loaded.encode(clip)
    return next(iter(ear._read(loaded._question("What is it?", (), 1))))[0][0]


def test_precisions_are_close(published: Mellow, published_dir: Path, tone: Tone) -> None:
    exact = logits_of(published, tone())
    for dtype, most in (("bfloat16", 5e-2), ("int8", 5e-2)):
        loaded = mellow.load(published_dir, engine="torch", device="cpu", dtype=dtype)
        found = logits_of(loaded, tone())
        assert found.dtype == np.float32
        assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < most, dtype
        answer = loaded.ask(tone(), "What is it?", decoding=DecodingOptions(max_new_tokens=3))
        assert answer.text
        batch = loaded.ask_many(
            [{"audio": tone(), "question": "What is it?"}] * 2, decoding=DecodingOptions(max_new_tokens=3)
        )
        assert batch == [answer] * 2


def test_bfloat16_is_for_the_language_models_weights_only(published_dir: Path) -> None:
    model = model_of(mellow.load(published_dir, device="cpu", dtype="bfloat16"))
    assert {p.dtype for p in model.language_model.parameters()} == {torch.bfloat16}
    others = [*model.encoder.state_dict().values(), *model.mapper.parameters(), *model.language_model.buffers()]
    assert {x.dtype for x in others} <= {torch.float32, torch.int64}
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_int8_keeps_the_embedding(published_dir: Path) -> None:
    model = model_of(mellow.load(published_dir, engine="torch", device="cpu", dtype="int8"))
    assert not [m for m in model.language_model.modules() if isinstance(m, nn.Linear)]
    assert isinstance(model.get_output_embeddings(), Int8Linear)
    assert isinstance(model.encoder.get_submodule("stages.0.blocks.0.qkv"), nn.Linear)
    assert model.get_input_embeddings().weight.dtype == torch.float32


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("fast_bfloat16", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_rows(
    fused: bool, fast_bfloat16: bool, rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "FUSED", fused and quantising.FUSED)
    monkeypatch.setattr(quantising, "FAST_BFLOAT16", fast_bfloat16)
    generator = torch.Generator().manual_seed(rows)
    linear = nn.Linear(64, 32)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(32, 64, generator=generator) * torch.logspace(-3, 2, 32)[:, None])
        linear.weight[3] = 0
    x = torch.randn(2, rows, 64, generator=generator)
    with torch.no_grad():
        found = Int8Linear(linear)(x.to(dtype))
        assert found.dtype == dtype
        weight = linear.weight.double()
        step = weight.abs().amax(1, keepdim=True) / 127
        whole = (weight / step.clamp(min=1e-12)).round() * step
        exact = x.to(torch.bfloat16).double() @ whole.T + linear.bias.double()
        most = 4e-3 * ((x.abs().double() @ whole.abs().T).amax((0, 1)) + linear.bias.abs())  # bfloat16 rounds results
    assert ((found - exact).abs().amax((0, 1)) <= most).all()


def test_int8_of_odd_widths() -> None:
    """Torch's kernel is kept from matrices that it would read beyond the end of."""
    for width in (4, 8, 24, 100):
        linear = nn.Linear(width, 8, bias=False)
        x = torch.randn(1, width)
        with torch.no_grad():
            found, exact = Int8Linear(linear)(x), linear(x)
        assert (found - exact).norm() <= 3e-2 * x.norm() * linear.weight.norm()


def test_quantise_replaces_every_linear_layer() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.ModuleDict({"inner": nn.Linear(4, 2, bias=False)}))
    quantise(module)
    assert [type(m) for m in module.modules() if not list(m.children())] == [Int8Linear, Int8Linear]


# --- devices --------------------------------------------------------------------------------------------------------


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto").type == "cuda"
    assert choose_device("auto", dtype="int8").type == "cpu"
    assert str(choose_device("cuda:0", dtype="bfloat16")) == "cuda:0"
    with pytest.raises(ModelError, match="'cuda:1' cannot be used on this machine"):
        choose_device("cuda:1")
    with pytest.raises(ModelError, match="int8 works on the CPU only, not on cuda"):
        choose_device("cuda", dtype="int8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "toaster"}, "no device 'toaster'; use auto, cpu, cuda or mps"),
        ({"device": "meta"}, "'meta' cannot be used"),
        ({"dtype": "float8"}, "no precision 'float8'; use float32, bfloat16, int8"),
    ],
)
def test_what_cannot_be_had(options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        choose_device(options.get("device", "auto"), dtype=options.get("dtype", "float32"))
