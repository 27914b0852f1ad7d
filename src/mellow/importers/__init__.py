"""Published checkpoints (Mellow v0, HTS-AT, PANNs, CED, SmolLM2), converted by total key maps."""
