"""Importer of CED from its ONNX export (weights only, int8 per tensor), by a total key map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from mellow.checkpoints.llama import check_total
from mellow.encoders.ced import CedConfig
from mellow.errors import KeyMapError, ModelError

__all__ = ["read_ced_onnx"]


def read_ced_onnx(path: str | Path, config: CedConfig | None = None) -> dict[str, torch.Tensor]:
    """Read the weights of a CED ONNX export into the names of our `Ced`.

    The export keeps PyTorch names for biases, norms and positions; its matrices carry export names (`val_87`) and are
    transposed (in, out). They are told apart by the graph: each MatMul with a constant feeds the Add of a named bias
    or, where biases are fused, stands in block order qkv, proj, fc1, fc2.
    """
    config = config or CedConfig()
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:
        raise ModelError(f"{path} is not a readable ONNX file ({type(error).__name__}).") from None
    values = _dequantised(graph)
    matrices = [
        values.pop(node.input[1]) for node in graph.node if node.op_type == "MatMul" and _is_matrix(node, values)
    ]
    named = {name: array for name, array in values.items() if name.startswith("model.") or name == "alias"}

    state: dict[str, np.ndarray] = {}
    for theirs, ours in _ced_names(config).items():
        if theirs in named:
            state[ours] = named.pop(theirs)
    check_total(set(), set(named), what=str(path))
    roles = [f"blocks.{i}.{role}.weight" for i in range(config.depth) for role in ("qkv", "proj", "fc1", "fc2")]
    if len(matrices) != len(roles):
        raise KeyMapError(f"{path} holds {len(matrices)} matrices where {len(roles)} were expected.")
    state |= {ours: np.ascontiguousarray(matrix.T) for ours, matrix in zip(roles, matrices, strict=True)}
    check_total({*_ced_names(config).values(), *roles}, set(state), what=str(path))
    return {name: torch.from_numpy(np.array(array, dtype=np.float32)) for name, array in state.items()}


def _dequantised(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Initialisers as float32, int8 ones (`X_q`, `X_s`, `X_z`) under the plain name X; shape constants are left out."""
    raw = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values = {}
    for name, array in raw.items():
        if name.endswith("_q"):
            stem = name[:-2]
            if missing := {f"{stem}_s", f"{stem}_z"} - set(raw):
                raise KeyMapError(f"The int8 tensor {name} of the encoder has no {', '.join(sorted(missing))}.")
            values[stem] = (array.astype(np.float32) - np.float32(raw[f"{stem}_z"])) * np.float32(raw[f"{stem}_s"])
        elif array.dtype == np.float32 and not name.endswith("_s"):
            values[name] = array
    return values


def _is_matrix(node: onnx.NodeProto, values: Mapping[str, np.ndarray]) -> bool:
    """Whether a MatMul multiplies by an unnamed constant; renames its input to the dequantised constant's name."""
    stem = node.input[1].removesuffix("_dq")
    if stem in values and stem.startswith("val_") and values[stem].ndim == 2:
        node.input[1] = stem
        return True
    return False


def _ced_names(config: CedConfig) -> dict[str, str]:
    """Their name -> ours, for all tensors that keep a PyTorch name in the export."""
    names = {
        f"model.encoder.init_bn.{part}": f"init_bn.{part}" for part in ("weight", "bias", "running_mean", "running_var")
    }
    names |= {
        "model.encoder.patch_embed.proj.weight": "patch.weight",
        "model.encoder.patch_embed.proj.bias": "patch.bias",
        "model.encoder.time_pos_embed": "time_position",
        "alias": "frequency_position",
    }
    for part in ("weight", "bias"):
        names |= {
            f"model.encoder.norm.{part}": f"norm.{part}",
            f"model.outputlayer.0.{part}": f"head_norm.{part}",
            f"model.outputlayer.1.{part}": f"head.{part}",
        }
        for i in range(config.depth):
            for norm in ("norm1", "norm2"):
                names[f"model.encoder.blocks.{i}.{norm}.{part}"] = f"blocks.{i}.{norm}.{part}"
    for i in range(config.depth):
        for theirs, ours in (("attn.qkv", "qkv"), ("attn.proj", "proj"), ("mlp.fc1", "fc1"), ("mlp.fc2", "fc2")):
            names[f"model.encoder.blocks.{i}.{theirs}.bias"] = f"blocks.{i}.{ours}.bias"
    return names
