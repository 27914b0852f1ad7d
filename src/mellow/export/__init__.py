"""Export of a model to ONNX graphs, and the comparison of their answers with the model's."""
