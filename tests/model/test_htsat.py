"""HTSAT and its Swin stages on tiny sizes, each index table and reshape against a brute-force twin."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from mellow.encoders import HtsatConfig
from mellow.errors import AudioError, ModelError
from mellow.model.htsat import Htsat, fold, stretch, unfold
from mellow.model.swin import (
    PatchMerging,
    SwinBlock,
    SwinStage,
    from_windows,
    relative_position_index,
    shift_mask,
    to_windows,
)

TINY = HtsatConfig(
    mel_bins=16, chunks=2, width=8, depths=(2, 2), heads=(2, 4), window=4, mlp_ratio=2, classes=5
)  # image 32, 64 frames, grids 8 and 4


@pytest.fixture(scope="module")
def tiny() -> Htsat:
    torch.manual_seed(0)
    encoder = Htsat(TINY).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    state = encoder.state_dict()
    state["bn0.running_mean"].normal_()
    state["bn0.running_var"].uniform_(0.5, 1.5)
    return encoder


@pytest.fixture
def mel_BFM() -> torch.Tensor:
    return torch.randn(3, 61, 16, generator=torch.Generator().manual_seed(1))


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 4, 8])
def test_relative_position_index_against_brute_force(window: int) -> None:
    places = list(itertools.product(range(window), repeat=2))
    offsets = sorted({(a[0] - b[0], a[1] - b[1]) for a in places for b in places})  # row by row, as the table is laid
    expected = [[offsets.index((q[0] - k[0], q[1] - k[1])) for k in places] for q in places]
    assert relative_position_index(window).tolist() == expected


@pytest.mark.parametrize(("grid", "window", "shift"), [(8, 4, 2), (6, 2, 1), (16, 8, 4), (9, 3, 1)])
def test_shift_mask_against_brute_force(grid: int, window: int, shift: int) -> None:
    mask_VNN = shift_mask(grid, window, shift)
    side = grid // window
    for v, (i, j) in enumerate(itertools.product(range(side), repeat=2)):
        rows, columns = range(i * window, (i + 1) * window), range(j * window, (j + 1) * window)
        places = [((r + shift) % grid, (c + shift) % grid) for r in rows for c in columns]  # before the roll
        near = [[max(abs(p[0] - q[0]), abs(p[1] - q[1])) < window for q in places] for p in places]
        assert mask_VNN[v].tolist() == [[0.0 if n else -100.0 for n in row] for row in near]


def test_without_a_shift_nothing_is_masked() -> None:
    assert not shift_mask(8, 4, 0).any()


def test_windows_go_row_by_row_and_back() -> None:
    x_BGGW = torch.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    x_BVNW = to_windows(x_BGGW, 2)
    assert x_BVNW.shape == (2, 9, 4, 3)
    for v, n in itertools.product(range(9), range(4)):
        assert torch.equal(x_BVNW[:, v, n], x_BGGW[:, v // 3 * 2 + n // 2, v % 3 * 2 + n % 2])
    assert torch.equal(from_windows(x_BVNW, 2), x_BGGW)


# --- blocks ---------------------------------------------------------------------------------------------------------


def naive_attention(block: SwinBlock, y_GGW: torch.Tensor) -> torch.Tensor:
    """Token by token over the whole grid: who shares a (shifted) window and was near before the shift may be seen."""
    grid, _, width = y_GGW.shape
    window, shift, part = block.window, block.shift, width // block.heads
    qkv = block.qkv(y_GGW).view(grid, grid, 3, block.heads, part)
    mixed = torch.zeros(grid, grid, block.heads, part)
    places: list[tuple[int, ...]] = list(itertools.product(range(grid), repeat=2))

    def cell(place: tuple[int, ...]) -> tuple[int, ...]:
        return tuple((x - shift) % grid // window for x in place)

    for q in places:
        seen = [k for k in places if cell(k) == cell(q) and max(abs(q[0] - k[0]), abs(q[1] - k[1])) < window]
        for head in range(block.heads):
            scores = torch.stack(
                [
                    (qkv[(*q, 0, head)] @ qkv[(*k, 1, head)]) / math.sqrt(part)
                    + block.position_bias[
                        (q[0] - k[0] + window - 1) * (2 * window - 1) + q[1] - k[1] + window - 1, head
                    ]
                    for k in seen
                ]
            )
            mixed[(*q, head)] = scores.softmax(0) @ torch.stack([qkv[(*k, 2, head)] for k in seen])
    out: torch.Tensor = block.proj(mixed.flatten(2))
    return out


@pytest.mark.parametrize("shift", [0, 1])
def test_block_against_token_by_token_attention(shift: int) -> None:
    torch.manual_seed(2)
    block = SwinBlock(width=8, heads=2, window=2, shift=shift, mlp_ratio=2)
    torch.nn.init.normal_(block.position_bias)
    x_GGW = torch.randn(6, 6, 8)
    with torch.no_grad():
        found = block(x_GGW[None], relative_position_index(2), shift_mask(6, 2, shift))[0]
        y_GGW = x_GGW + naive_attention(block, block.norm1(x_GGW))
        expected = y_GGW + block.fc2(functional.gelu(block.fc1(block.norm2(y_GGW))))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_merging_joins_rows_before_columns() -> None:
    merge = PatchMerging(2)
    x_BGGW = torch.randn(1, 4, 4, 2)
    four = [x_BGGW[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    torch.testing.assert_close(merge(x_BGGW), merge.reduction(merge.norm(torch.cat(four, -1))))


def test_stages_shift_every_second_block_unless_one_window_sees_all() -> None:
    wide = SwinStage(8, 3, 2, grid=8, window=4, mlp_ratio=2, merge=False)
    assert [int(block.shift) for block in wide.blocks] == [0, 2, 0]  # type: ignore[arg-type]
    small = SwinStage(8, 3, 2, grid=4, window=8, mlp_ratio=2, merge=False)
    assert [int(block.shift) for block in small.blocks] == [0, 0, 0]  # type: ignore[arg-type]
    assert small.window == 4


def test_no_table_is_kept_as_state() -> None:
    assert {name for name, _ in Htsat(TINY).named_buffers()} == {
        "bn0.running_mean",
        "bn0.running_var",
        "bn0.num_batches_tracked",
    }


# --- reshaping ------------------------------------------------------------------------------------------------------


def naive_cubic(x_FM: np.ndarray, frames: int) -> np.ndarray:
    """Keys' cubic convolution with a = -0.75, first and last frame in place, borders repeated."""

    def weight(distance: float) -> float:
        d, a = abs(distance), -0.75
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    out = np.zeros((frames, x_FM.shape[1]))
    for f in range(frames):
        place = f * (len(x_FM) - 1) / (frames - 1)
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            out[f] += weight(place - tap) * x_FM[min(max(tap, 0), len(x_FM) - 1)]
    return out


@pytest.mark.parametrize("frames", [64, 61, 40, 2])
def test_stretch_against_naive_cubic_interpolation(frames: int) -> None:
    mel_BFM = torch.randn(2, frames, 16, generator=torch.Generator().manual_seed(frames))
    found = stretch(mel_BFM, 64)
    assert found.shape == (2, 64, 16)
    for b in range(2):
        np.testing.assert_allclose(found[b].numpy(), naive_cubic(mel_BFM[b].double().numpy(), 64), atol=2e-5)


def test_fold_stacks_chunks_along_frequency() -> None:
    mel_BFM = torch.randn(2, 12, 5)
    image = fold(mel_BFM, 3)
    assert image.shape == (2, 15, 4)
    for chunk, m, f in itertools.product(range(3), range(5), range(4)):
        assert torch.equal(image[:, chunk * 5 + m, f], mel_BFM[:, chunk * 4 + f, m])


def test_unfold_undoes_the_stacking_of_tokens() -> None:
    x_BGGW = torch.randn(2, 6, 6, 4)
    x_BWRT = unfold(x_BGGW, 3)
    assert x_BWRT.shape == (2, 4, 2, 18)
    for row, t in itertools.product(range(2), range(18)):
        assert torch.equal(x_BWRT[:, :, row, t], x_BGGW[:, t // 6 * 2 + row, t % 6])


# --- the encoder ----------------------------------------------------------------------------------------------------


def test_shapes_and_how_the_outputs_hang_together(tiny: Htsat, mel_BFM: torch.Tensor) -> None:
    encoded = tiny(mel_BFM)
    assert (TINY.frame_width, TINY.latent_width) == (5, 16)
    assert encoded.frames_BTE.shape == (3, TINY.steps_per_window, TINY.frame_width) == (3, 8, 5)
    assert encoded.latent_BE.shape == (3, TINY.latent_width)
    torch.testing.assert_close(encoded.frames_BTE, encoded.step_scores_BTC.sigmoid())
    torch.testing.assert_close(encoded.clip_scores_BC, encoded.step_scores_BTC.mean(1))


def test_batch_equals_single(tiny: Htsat, mel_BFM: torch.Tensor) -> None:
    together = tiny(mel_BFM)
    for b in range(len(mel_BFM)):
        for whole, one in zip(together, tiny(mel_BFM[b : b + 1]), strict=True):
            torch.testing.assert_close(whole[b : b + 1], one, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight(tiny: Htsat, mel_BFM: torch.Tensor) -> None:
    encoded = tiny(mel_BFM)
    (encoded.clip_scores_BC.square().sum() + encoded.latent_BE.square().sum()).backward()
    assert [name for name, p in tiny.named_parameters() if p.grad is None or not p.grad.any()] == []
    tiny.zero_grad(set_to_none=True)


def test_one_block_per_stage_and_lists_from_json_are_fine() -> None:
    encoder = Htsat(HtsatConfig(mel_bins=16, chunks=2, width=8, depths=[1, 1], heads=[1, 2], window=4, classes=3))  # type: ignore[arg-type]
    assert encoder.config.depths == (1, 1)
    assert encoder(torch.randn(1, 64, 16)).frames_BTE.shape == (1, 8, 3)


def test_published_sizes() -> None:
    config = HtsatConfig()
    assert (config.image, config.frames, config.grids, config.widths) == (
        256,
        1024,
        (64, 32, 16, 8),
        (96, 192, 384, 768),
    )
    assert (config.rows, config.steps_per_window) == (2, 32)


def test_a_longer_clip_is_an_error(tiny: Htsat) -> None:
    with pytest.raises(AudioError, match="64 mel frames and the clip has 65"):
        tiny(torch.zeros(1, 65, 16))


@pytest.mark.parametrize(
    "sizes",
    [
        {"depths": (2, 2), "heads": (4,)},
        {"depths": (), "heads": ()},
        {"heads": (5, 8, 16, 32)},
        {"mel_bins": 60},
        {"chunks": 3},
        {"window": 7},
    ],
)
def test_impossible_sizes_are_errors(sizes: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="HTSAT"):
        HtsatConfig(**sizes)  # type: ignore[arg-type]
