"""The parts that a config names, untrained: the encoder by its kind, the mapper by the layout."""

from __future__ import annotations

from typing import Any

from mellow.config import COPIES, ModelConfig
from mellow.model.events import EventHead
from mellow.model.mapper import CompactMapper
from mellow.model.mapper_published import PublishedMapper

__all__ = ["build_encoder", "build_events", "build_mapper"]


def build_encoder(config: ModelConfig) -> Any:
    """The torch module of the encoder that a config names."""
    return config.spec.torch(config.sizes)


def build_mapper(config: ModelConfig, width: int) -> CompactMapper | PublishedMapper:
    """The mapper of a config's layout, to the width D of the language model."""
    sizes = config.sizes
    if config.layout == "published":
        return PublishedMapper(
            frame_width=sizes.frame_width, latent_width=sizes.latent_width, width=width, copies=COPIES
        )
    return CompactMapper(
        frame_width=sizes.frame_width,
        classes=sizes.classes,
        width=width,
        frames_per_row=config.frames_per_row,
    )


def build_events(config: ModelConfig) -> EventHead | None:
    """The event head of a config; None where it has none."""
    head = config.events
    if head is None:
        return None
    return EventHead(frame_width=config.sizes.frame_width, width=head.width, sounds=head.sounds)
