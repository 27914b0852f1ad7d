"""The parts that a config names, untrained: the encoder by its kind, the mapper by the layout."""

from __future__ import annotations

from dataclasses import fields

from mellow.errors import ModelError
from mellow.model.ced import Ced, CedConfig
from mellow.model.cnn14 import Cnn14, Cnn14Config
from mellow.model.configuration import MellowConfig
from mellow.model.events import EventHead
from mellow.model.htsat import Htsat, HtsatConfig
from mellow.model.mapper import CompactMapper
from mellow.model.mapper_published import PublishedMapper

__all__ = ["build_encoder", "build_events", "build_mapper", "encoder_sizes"]

Encoder = Ced | Htsat | Cnn14
Sizes = CedConfig | HtsatConfig | Cnn14Config

SIZES: dict[str, type[Sizes]] = {"ced": CedConfig, "htsat": HtsatConfig, "cnn14": Cnn14Config}


def encoder_sizes(config: MellowConfig) -> Sizes:
    """The sizes of the encoder that a config names; ModelError for a size that this kind does not have."""
    kind = SIZES[config.encoder]
    unknown = sorted(set(config.encoder_config) - {field.name for field in fields(kind)})
    if unknown:
        raise ModelError(f"The encoder {config.encoder} has no size {', '.join(unknown)}; see {kind.__name__}.")
    return kind(**config.encoder_config)


def build_encoder(config: MellowConfig) -> Encoder:
    """The encoder that a config names, untrained."""
    sizes = encoder_sizes(config)
    if isinstance(sizes, HtsatConfig):
        return Htsat(sizes)
    return Cnn14(sizes) if isinstance(sizes, Cnn14Config) else Ced(sizes)


def build_mapper(config: MellowConfig, encoder: Encoder) -> CompactMapper | PublishedMapper:
    """The mapper of a config's layout, untrained, between this encoder and the config's language model."""
    width = int(config.text_config.hidden_size)
    if config.layout == "published":
        return PublishedMapper(frame_width=encoder.frame_width, latent_width=encoder.latent_width, width=width)
    return CompactMapper(
        frame_width=encoder.frame_width,
        classes=encoder.config.classes,
        width=width,
        frames_per_row=config.frames_per_row,
    )


def build_events(config: MellowConfig, encoder: Encoder) -> EventHead | None:
    """The event head of a config, untrained; None where it has none."""
    if not config.events:
        return None
    try:
        width, sounds = int(config.events["width"]), int(config.events["sounds"])
    except KeyError as error:
        raise ModelError(f"The config's events lack {error}.") from None
    if len(config.heard.get("events", ())) != sounds:
        raise ModelError(f"The config has {sounds} events, but heard words for {len(config.heard.get('events', ()))}.")
    return EventHead(frame_width=encoder.frame_width, width=width, sounds=sounds)
