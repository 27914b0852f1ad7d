"""The engine on ONNX Runtime: CPU only, no torch."""
