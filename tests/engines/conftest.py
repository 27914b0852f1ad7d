"""Tiny random models of each encoder and both layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TEXT = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"},
}
ENCODERS: dict[str, dict[str, Any]] = {
    "ced": {"width": 32, "depth": 2, "heads": 2, "classes": 9},
    "htsat": {"width": 8, "patch": 16, "depths": [2, 2], "heads": [2, 4], "window": 4, "classes": 9},
    "cnn14": {"widths": [4, 8, 16], "classes": 9},
}

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def random_model() -> Make:
    """Make a model whose every weight and statistic is a seeded number."""
    torch = pytest.importorskip("torch")
    from mellow.model.configuration import MellowConfig
    from mellow.model.modeling import MellowForConditionalGeneration

    def make(encoder: str = "ced", layout: str = "compact", **settings: Any) -> Any:
        text = {**TEXT, **settings.pop("text", {})}
        sizes = {"encoder": encoder, "encoder_config": ENCODERS[encoder], "layout": layout}
        model = MellowForConditionalGeneration(MellowConfig(text_config=text, **sizes, **settings))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if name.endswith("running_mean"):
                    tensor.normal_(-40.0 if "bn0" in name or "init_bn" in name else 0.0, 0.1, generator=generator)
                elif name.endswith("running_var"):
                    tensor.fill_(400.0 if "bn0" in name or "init_bn" in name else 1.0)
                elif tensor.is_floating_point():
                    spread = 0.2 if tensor.ndim < 2 else tensor[0].numel() ** -0.5
                    centre = float("norm" in name and name.endswith("weight"))
                    tensor.copy_(centre + spread * torch.randn(tensor.shape, generator=generator))
        return model.eval()

    return make
