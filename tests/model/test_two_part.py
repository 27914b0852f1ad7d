"""Adapter checkpoints with torch: a saved model answers as the adapted one, and is frozen, whole and tied."""

from __future__ import annotations

import numpy as np
import torch

from mellow.checkpoints.int8 import pack, unpack
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.train.initial import adapter_weights


@torch.inference_mode()
def logits(model: MellowForConditionalGeneration, ids: list[int]) -> torch.Tensor:
    embeds = model.embed(torch.tensor([ids]), torch.zeros(0, 1))
    found: torch.Tensor = model.language_model(inputs_embeds=embeds).logits
    return found


def test_a_saved_model_is_the_adapted_one(
    tiny_adapted: MellowForConditionalGeneration, tiny_model: MellowForConditionalGeneration
) -> None:
    """Up to the rounding to int8; with the rounded tensors in the adapted model, up to float noise."""
    ids = list(range(100, 130))
    np.testing.assert_allclose(logits(tiny_adapted, ids), logits(tiny_model, ids), atol=0.15)
    with torch.no_grad():
        rounded = unpack(pack(adapter_weights(tiny_adapted)))
        names = dict(tiny_adapted.named_parameters())
        for name, array in rounded.items():
            inside = name.replace("language_model.", "language_model.base_model.model.", 1)
            for ours in (name, f"{inside}.default.weight"):
                if ours in names:
                    names[ours].copy_(torch.from_numpy(array))
    np.testing.assert_allclose(logits(tiny_adapted, ids), logits(tiny_model, ids), atol=1e-4)
    mel = torch.randn(100, 64, generator=torch.Generator().manual_seed(0)) * 20 - 40
    with torch.inference_mode():
        (audio_KD, tags), (expected_KD, expected_tags) = (model.encode([mel]) for model in (tiny_model, tiny_adapted))
    torch.testing.assert_close(audio_KD, expected_KD, rtol=1e-4, atol=1e-4)
    assert tags == expected_tags


def test_adapters_change_the_answers(tiny_adapted: MellowForConditionalGeneration) -> None:
    ids = list(range(100, 130))
    with tiny_adapted.language_model.disable_adapter():
        plain = logits(tiny_adapted, ids)
    assert (plain - logits(tiny_adapted, ids)).abs().max() > 0.1


def test_a_loaded_model_is_frozen_whole_and_tied(tiny_model: MellowForConditionalGeneration) -> None:
    assert not any(parameter.requires_grad for parameter in tiny_model.parameters())
    assert not any(tensor.is_meta for tensor in [*tiny_model.parameters(), *tiny_model.buffers()])
    assert tiny_model.get_output_embeddings().weight is tiny_model.get_input_embeddings().weight
    assert not tiny_model.training
