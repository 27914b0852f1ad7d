"""Writing a model as ONNX graphs, with numpy alone: neither torch nor the package `onnx` is needed.

A graph directory (made by `write.write_graphs`, opened by `mellow.engines.onnx.engine.OnnxEngine.load`):

GRAPHS_DIR/config.json        the model's config with one more key, `graphs`:
                              precision   fp32, fp16, int8 or int4
                              files       of each other file, its bytes and sha256
                              embedding   the place and format of the input embedding in decoder.weights
GRAPHS_DIR/tokenizer.json
GRAPHS_DIR/encoder.onnx       log-mel of one window -> audio tokens and class scores; mapper and event head included
GRAPHS_DIR/encoder.weights    its weights, large ones page-aligned, mapped or copied once by ONNX Runtime
GRAPHS_DIR/decoder.onnx       embeddings, keys and values -> logits, keys and values (see `llama`)
GRAPHS_DIR/decoder.weights    its weights; the output matrix is the embedding as well where the two are tied

Graphs are written from a config and named float32 arrays, so any model can become one without torch: `write` combines
`llama` (the language model), `ced`, `htsat` and `cnn14` (encoders) and `mapper`. These add nodes to a `Graph`
(`graph`), which is serialised in ONNX's format (`proto`). `quantise` stores weights in fewer bits; in 8 bits the
residual stream of the language model is rotated (`rotation`).
"""
