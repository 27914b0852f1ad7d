"""The names of models: those that are bundled, and those on the hub."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BUNDLED", "CHECKPOINTS", "HUB", "NAMED"]

BUNDLED = Path(__file__).resolve().parent.parent / "pretrained" / "mini"
NAMED = {"mini": BUNDLED}
HUB = {"v0": "v0.ckpt", "v0_s": "v0_s.ckpt"}  # our name -> file in the hub's repository
CHECKPOINTS = (".ckpt", ".pt", ".pth")
