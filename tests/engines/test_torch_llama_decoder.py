"""Our Llama reads as transformers' does, padded or not, at once or in parts; a past never changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from mellow.engines.torch.llama_decoder import FEW_ROWS, GROWTH, LlamaDecoder, TransformersDecoder, _linear, decoder_of

LLAMA: dict[str, Any] = {"vocab_size": 40, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3}
LLAMA |= {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 512}
GPT2: dict[str, Any] = {"vocab_size": 40, "n_embd": 24, "n_layer": 2, "n_head": 2}


def language_model(kind: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.2)
    return model.eval()


@dataclass
class Pair:
    """The same weights behind both readers, and how far their logits may be apart."""

    ours: LlamaDecoder
    theirs: TransformersDecoder
    dtype: torch.dtype
    most: float

    def embeds(self, *shape: int, seed: int = 0) -> torch.Tensor:
        return torch.randn(*shape, 24, generator=torch.Generator().manual_seed(seed)).to(self.dtype)

    def check(self, found: torch.Tensor, expected: torch.Tensor) -> None:
        assert found.shape == expected.shape
        assert found.dtype == self.dtype
        assert float((found - expected).float().norm() / expected.float().norm()) <= self.most


@pytest.fixture(scope="module", params=["three groups", "one key head", "bfloat16"])
def pair(request: pytest.FixtureRequest) -> Pair:
    model = language_model("llama", LLAMA | ({"num_key_value_heads": 1} if request.param == "one key head" else {}))
    dtype, most = torch.float32, 1e-5
    if request.param == "bfloat16":
        dtype, most = torch.bfloat16, 3e-2
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
    return Pair(LlamaDecoder(model), TransformersDecoder(model), dtype, most)


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.inference_mode():
        yield


def places(start: int, length: int, batch: int = 1) -> torch.Tensor:
    return torch.arange(start, start + length).expand(batch, -1)


@pytest.mark.parametrize("every", [False, True])
def test_reading_at_once_and_on(pair: Pair, every: bool) -> None:
    lengths = [7, 1, 5, 1, 1]
    pasts: list[Any] = [None, None]
    start = 0
    for n, length in enumerate(lengths):
        embeds_BLD = pair.embeds(2, length, seed=n)
        found, expected = (
            reader.forward(embeds_BLD, places(start, length, 2), None, past, every=every)
            for reader, past in zip((pair.ours, pair.theirs), pasts, strict=True)
        )
        pair.check(found[0], expected[0])
        pasts, start = [found[1], expected[1]], start + length


def test_padding_anywhere(pair: Pair) -> None:
    """Left padding of prompts, then continuations that are padded on the right, then one token each."""
    masks = [[[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], [[1, 1, 0], [1, 0, 0]], [[1], [1]]]
    pasts: list[Any] = [None, None]
    whole_BT = torch.zeros(2, 0, dtype=torch.int64)
    for n, mask in enumerate(masks):
        whole_BT = torch.cat([whole_BT, torch.tensor(mask)], 1)
        length = len(mask[0])
        positions_BL = (whole_BT.cumsum(1) - 1).clamp(min=0)[:, -length:]
        embeds_BLD = pair.embeds(2, length, seed=n)
        found, expected = (
            reader.forward(embeds_BLD, positions_BL, whole_BT, past, every=True)
            for reader, past in zip((pair.ours, pair.theirs), pasts, strict=True)
        )
        counted = torch.tensor(mask).bool()
        assert torch.isfinite(found[0]).all()
        pair.check(found[0][counted], expected[0][counted])
        pasts = [found[1], expected[1]]


def test_a_past_is_a_value(pair: Pair) -> None:
    """Two continuations of one past, and the first again, as if the others had never been."""
    _, past = pair.ours.forward(pair.embeds(1, 6), places(0, 6), None, None, every=False)

    def go_on(seed: int) -> torch.Tensor:
        logits, later = pair.ours.forward(pair.embeds(1, 2, seed=seed), places(6, 2), None, past, every=False)
        return torch.cat([logits, pair.ours.forward(pair.embeds(1, 1), places(8, 1), None, later, every=False)[0]])

    first, second = go_on(1), go_on(2)
    assert not torch.equal(first, second)
    assert torch.equal(go_on(1), first)
    assert torch.equal(go_on(2), second)


def test_a_past_that_threads_share(pair: Pair) -> None:
    _, past = pair.ours.forward(pair.embeds(1, 6), places(0, 6), None, None, every=False)

    def go_on(seed: int) -> torch.Tensor:
        with torch.inference_mode():
            return pair.ours.forward(pair.embeds(1, 2, seed=seed), places(6, 2), None, past, every=False)[0]

    alone = [go_on(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(go_on, range(8)), alone, strict=True):
            assert torch.equal(found, expected)


def test_growing_beyond_the_room(pair: Pair) -> None:
    count = GROWTH + 10
    embeds_BLD = pair.embeds(1, count)
    past, logits = None, []
    for n in range(count):
        step, past = pair.ours.forward(embeds_BLD[:, n : n + 1], places(n, 1), None, past, every=False)
        logits.append(step)
    expected, _ = pair.theirs.forward(embeds_BLD, places(0, count), None, None, every=True)
    pair.check(torch.stack(logits, 1), expected)


@pytest.mark.parametrize("rows", [[1, 1, 1], [2, 0], [1]])
def test_taking_rows(pair: Pair, rows: list[int]) -> None:
    prompt_BLD, next_B1D = pair.embeds(3, 4), pair.embeds(len(rows), 1, seed=1)
    logits = []
    for reader in (pair.ours, pair.theirs):
        _, past = reader.forward(prompt_BLD, places(0, 4, 3), None, None, every=False)
        taken = reader.take(past, rows)
        for _ in range(2):  # a second time from the same past
            found, _ = reader.forward(next_B1D, places(4, 1, len(rows)), None, taken, every=False)
            logits.append(found)
    assert torch.equal(logits[0], logits[1])
    pair.check(logits[0], logits[2])


@pytest.mark.parametrize("rows", [1, 2, FEW_ROWS, FEW_ROWS + 1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_layers_of_few_rows(rows: int, bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(rows)
    linear, x = torch.nn.Linear(96, 40, bias=bias).to(dtype), torch.randn(rows, 1, 96).to(dtype)
    found = _linear(linear, x)
    assert (found.shape, found.dtype) == ((rows, 1, 40), dtype)
    exact = x.double() @ linear.weight.double().T + (linear.bias.double() if bias else 0.0)
    assert (found - exact).norm() / exact.norm() <= (1e-6 if dtype == torch.float32 else 5e-3)


@pytest.mark.parametrize(
    ("kind", "settings", "is_ours"),
    [
        ("llama", LLAMA, True),
        ("llama", LLAMA | {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, False),
        ("llama", LLAMA | {"hidden_act": "gelu"}, False),
        ("gpt2", GPT2, False),
    ],
)
def test_only_plain_llamas_are_read_our_way(kind: str, settings: dict[str, Any], is_ours: bool) -> None:
    reader = decoder_of(language_model(kind, settings))
    assert isinstance(reader, LlamaDecoder if is_ours else TransformersDecoder)
    logits, past = reader.forward(torch.randn(1, 3, 24), places(0, 3), None, None, every=False)
    assert torch.isfinite(reader.forward(torch.randn(1, 1, 24), places(3, 1), None, past, every=True)[0]).all()
    assert logits.shape == (1, 40)
