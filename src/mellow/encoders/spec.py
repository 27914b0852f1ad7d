"""The audio encoders a model can have: a row each, all that is written down about them outside their modules.

An encoder is added with a row in ENCODERS, which names its config class, its torch module and its graph; the latter two
are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pkgutil import resolve_name
from typing import Any, Literal, cast

from mellow.audio.front_end import CED, HTSAT, FrontEnd
from mellow.encoders.ced import CedConfig
from mellow.encoders.cnn14 import Cnn14Config
from mellow.encoders.config import EncoderConfig
from mellow.encoders.htsat import HtsatConfig
from mellow.errors import ModelError

__all__ = ["ENCODERS", "EncoderSpec", "encoder_spec", "sizes_dict"]


@dataclass(frozen=True)
class EncoderSpec:
    """What is known of a kind of encoder.

    kind: its name in configs and recipes; config: the class of its sizes; mel: the log-mel it was trained on.
    torch_module, graph_function: where its two implementations are, as `module:name`.
    short: what fills a window below 10 s where a model's clip policy does not say (HTSAT stretches what is shorter).
    least_bits: of its weights in graphs, where fewer lose too much (docs/log.md).
    """

    kind: str
    config: type[EncoderConfig]
    mel: FrontEnd
    torch_module: str
    graph_function: str
    short: Literal["keep", "pad"] = "keep"
    least_bits: int = 0

    def sizes(self, given: Mapping[str, Any] | None = None) -> EncoderConfig:
        """The config with these sizes; ModelError for a size that there is not, or an impossible one."""
        given = dict(given or {})
        known = {field.name for field in fields(cast(Any, self.config))}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ModelError(
                f"The encoder {self.kind} has no size {', '.join(unknown)}; it has {', '.join(sorted(known))}."
            )
        try:
            return self.config(**given)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"The encoder {self.kind} has impossible sizes ({error}).") from None

    def front_end(self, sizes: EncoderConfig | None = None) -> FrontEnd:
        """The log-mel of an encoder of these sizes."""
        return self.mel if sizes is None else replace(self.mel, mel_bins=sizes.mel_bins)

    def torch(self, sizes: EncoderConfig) -> Any:
        """The untrained torch module."""
        return resolve_name(self.torch_module)(sizes)

    def graph(self) -> Callable[..., Any]:
        """The function that draws its ONNX graph."""
        return cast(Callable[..., Any], resolve_name(self.graph_function))


ENCODERS = {
    spec.kind: spec
    for spec in (
        EncoderSpec("ced", CedConfig, CED, "mellow.model.ced:Ced", "mellow.graphs.ced:add_ced", least_bits=16),
        EncoderSpec(
            "htsat", HtsatConfig, HTSAT, "mellow.model.htsat:Htsat", "mellow.graphs.htsat:add_htsat", short="pad"
        ),
        EncoderSpec("cnn14", Cnn14Config, HTSAT, "mellow.model.cnn14:Cnn14", "mellow.graphs.cnn14:add_cnn14"),
    )
}


def encoder_spec(kind: object) -> EncoderSpec:
    """The row of a kind of encoder; ModelError names the kinds there are."""
    if not isinstance(kind, str) or kind not in ENCODERS:
        raise ModelError(f"Unknown encoder {kind!r}; known are {', '.join(ENCODERS)}.")
    return ENCODERS[kind]


def sizes_dict(sizes: EncoderConfig) -> dict[str, Any]:
    """The sizes as they stand in config.json."""
    return asdict(cast(Any, sizes))
