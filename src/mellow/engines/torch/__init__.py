"""The engine on torch: for GPUs, bfloat16, and language models that have no graphs."""
