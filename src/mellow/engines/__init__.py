"""Running a model: one interface (encode, embed, forward), implemented on ONNX Runtime and on torch."""
