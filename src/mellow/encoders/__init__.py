"""The table of audio encoders: sizes, time steps and front end of each, without tensors."""

from mellow.encoders.ced import CedConfig
from mellow.encoders.cnn14 import Cnn14Config
from mellow.encoders.config import WINDOW_SECONDS, EncoderConfig
from mellow.encoders.htsat import HtsatConfig
from mellow.encoders.spec import ENCODERS, EncoderSpec, encoder_spec, sizes_dict

__all__ = [
    "ENCODERS",
    "WINDOW_SECONDS",
    "CedConfig",
    "Cnn14Config",
    "EncoderConfig",
    "EncoderSpec",
    "HtsatConfig",
    "encoder_spec",
    "sizes_dict",
]
