"""The same model as ONNX graphs on ONNX Runtime: numpy and onnxruntime only, no torch and no onnx.

A graph directory (made by `write.write_graphs`, opened by `engine.OnnxEngine.load`):

GRAPHS_DIR/config.json        the model's config with one more key, `graphs`:
                              precision   fp32, fp16, int8 or int4
                              files       of each other file, its bytes and sha256
                              embedding   where the rows of the input embedding lie in decoder.weights, and how
GRAPHS_DIR/tokenizer.json
GRAPHS_DIR/encoder.onnx       log-mel of one window -> audio rows and class scores; mapper and event head are in it
GRAPHS_DIR/encoder.weights    its weights, large ones at the start of a page, mapped or copied once by ONNX Runtime
GRAPHS_DIR/decoder.onnx       embeddings, keys and values -> logits, keys and values (see `language`)
GRAPHS_DIR/decoder.weights    its weights; the output matrix serves as the embedding too, where these are tied

Graphs are written by our own code from a config and named float32 arrays, so any model can become one without torch:
`write` puts together `language` (the language model), `ced`, `htsat`, `cnn14` (encoders) and `mapper`, which draw with
`graph` in ONNX's format (`proto`), weights in fewer bits by `quantise`; in 8 bits the residual stream of the language
model is rotated (`rotation`).
"""
