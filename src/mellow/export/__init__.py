"""From a loaded model to ONNX graphs, and the proof that they answer as it does."""
