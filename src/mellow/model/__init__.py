"""The model in torch: encoders, mappers and the language model with its configs."""
