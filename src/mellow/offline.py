"""Telemetry of other libraries, switched off before any of them can be imported."""

from __future__ import annotations

import os

__all__ = ["TELEMETRY"]

TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime since 1.29; read once, when its library is loaded (its Privacy.md)
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and through it transformers and accelerate
    "RAY_USAGE_STATS_ENABLED": "0",  # ray, and what its LLM parts report through it
    "VLLM_NO_USAGE_STATS": "1",
}

for name, setting in TELEMETRY.items():
    os.environ.setdefault(name, setting)  # whoever has set it otherwise, meant it
