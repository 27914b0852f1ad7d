"""CNN14 on tiny sizes against a step-by-step twin written after PANNs' description."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mellow.encoders import Cnn14Config
from mellow.errors import AudioError, ModelError
from mellow.model.cnn14 import Cnn14

TINY = Cnn14Config(mel_bins=8, widths=(4, 6, 8), classes=5)  # one step is 4 frames


@pytest.fixture(scope="module")
def tiny() -> Cnn14:
    torch.manual_seed(0)
    encoder = Cnn14(TINY).eval()
    for module in encoder.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return encoder


@pytest.fixture
def mel_BFM() -> torch.Tensor:
    return torch.randn(3, 27, 8, generator=torch.Generator().manual_seed(1))


def normed(x_BCFM: torch.Tensor, norm: dict[str, torch.Tensor]) -> torch.Tensor:
    scale = norm["weight"] / (norm["running_var"] + 1e-5).sqrt()
    return x_BCFM * scale[:, None, None] + (norm["bias"] - norm["running_mean"] * scale)[:, None, None]


def reference_features(encoder: Cnn14, mel_BFM: torch.Tensor) -> torch.Tensor:
    """(B, W, T): the last block's output averaged over frequency, from plain formulas."""
    state = encoder.state_dict()

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

    x = normed(mel_BFM[:, None].transpose(1, 3), part("bn0.")).transpose(1, 3)
    for i in range(len(TINY.widths)):
        for n in (1, 2):
            x = functional.conv2d(x, state[f"blocks.{i}.conv{n}.weight"], padding=1)
            x = normed(x, part(f"blocks.{i}.bn{n}.")).clamp(min=0)
        if i < len(TINY.widths) - 1:
            frames, bins = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
            x = torch.stack([x[:, :, row:frames:2, column:bins:2] for row in (0, 1) for column in (0, 1)]).mean(0)
    return x.mean(3)


def test_against_the_step_by_step_twin(tiny: Cnn14, mel_BFM: torch.Tensor) -> None:
    with torch.no_grad():
        encoded = tiny(mel_BFM)
        x_BWT = reference_features(tiny, mel_BFM)
        latent_BE = functional.relu(tiny.fc1(x_BWT.max(2).values + x_BWT.mean(2)))
        steps = []
        for t in range(x_BWT.shape[2]):
            around = x_BWT[:, :, max(t - 1, 0) : t + 2]
            steps.append(functional.relu(tiny.fc1(around.max(2).values + around.sum(2) / 3)))  # zeros count in the mean
        frames_BTE = torch.stack(steps, 1)
    torch.testing.assert_close(encoded.latent_BE, latent_BE, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.clip_scores_BC, tiny.scores(latent_BE), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.frames_BTE, frames_BTE, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.step_scores_BTC, tiny.scores(frames_BTE), rtol=1e-4, atol=1e-5)


def test_shapes(tiny: Cnn14, mel_BFM: torch.Tensor) -> None:
    encoded = tiny(mel_BFM)
    assert (tiny.config.frame_width, tiny.config.latent_width) == (8, 8)
    assert encoded.frames_BTE.shape == (3, 27 // TINY.hop, 8) == (3, 6, 8)
    assert encoded.latent_BE.shape == (3, 8)
    assert encoded.step_scores_BTC.shape == (3, 6, 5)
    assert encoded.clip_scores_BC.shape == (3, 5)


def test_batch_equals_single(tiny: Cnn14, mel_BFM: torch.Tensor) -> None:
    together = tiny(mel_BFM)
    for b in range(len(mel_BFM)):
        for whole, one in zip(together, tiny(mel_BFM[b : b + 1]), strict=True):
            torch.testing.assert_close(whole[b : b + 1], one, rtol=1e-4, atol=1e-5)


def test_published_sizes() -> None:
    with torch.device("meta"):
        encoder = Cnn14(Cnn14Config())
        encoded = encoder.eval()(torch.zeros(1, 1001, 64))
    assert sum(p.numel() for p in encoder.parameters()) == 80_753_615  # as PANNs counts them
    assert encoded.frames_BTE.shape == (1, 31, 2048)
    assert encoded.clip_scores_BC.shape == (1, 527)


def test_the_shortest_clip_is_one_step(tiny: Cnn14) -> None:
    assert tiny(torch.zeros(1, 4, 8)).frames_BTE.shape == (1, 1, 8)
    with pytest.raises(AudioError, match="at least 4 mel frames and the clip has 3"):
        tiny(torch.zeros(1, 3, 8))


def test_lists_from_json_are_fine() -> None:
    assert Cnn14Config(widths=[4, 8]).widths == (4, 8)  # type: ignore[arg-type]


def test_impossible_sizes_are_errors() -> None:
    with pytest.raises(ModelError, match="cannot halve 8 mel bins"):
        Cnn14Config(mel_bins=8)
    with pytest.raises(ModelError, match="0 blocks"):
        Cnn14Config(widths=())
