"""Our reading of GGUF against the gguf package's: values of every kind, settings, and files that are no whole ones."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from mellow.errors import ModelError
from mellow.stored.gguf import KINDS, GgufFile
from mellow.stored.llama import EMBEDDING, LlamaFile


def write(path: Path, kind: str, values: np.ndarray) -> Path:
    """A file with lists and single settings in front of one tensor."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "<|x|>"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_float32("some.float", 0.5)
    writer.add_bool("some.flag", True)
    writer.add_string("some.text", "zwölf")
    number = gguf.GGMLQuantizationType[kind]
    writer.add_tensor("x", gguf.quants.quantize(values, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values()])
def test_values_are_those_of_the_gguf_package(kind: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((7, 96)).astype(np.float32)
    path = write(tmp_path / "x.gguf", kind, values)
    theirs = gguf.GGUFReader(path).tensors[0]
    ours = GgufFile.open(path).tensors["x"].array()
    assert ours.dtype == np.float32
    assert ours.shape == (7, 96)
    assert ours.flags.writeable
    np.testing.assert_array_equal(ours, gguf.quants.dequantize(theirs.data, theirs.tensor_type))


def test_single_settings_are_read_and_lists_are_passed_over(tmp_path: Path) -> None:
    fields = GgufFile.open(write(tmp_path / "x.gguf", "F32", np.ones((2, 32), np.float32))).fields
    wanted = {"general.architecture": "llama", "some.float": 0.5, "some.flag": True, "some.text": "zwölf"}
    assert {name: fields[name] for name in wanted} == wanted
    assert fields["tokenizer.ggml.tokens"] is None


def test_every_tensor_of_the_tiny_model_is_read_as_the_package_reads_it(tiny_gguf: Path) -> None:
    found = GgufFile.open(tiny_gguf).tensors
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(tiny_gguf).tensors}
    assert list(found) == list(theirs)
    for name, tensor in found.items():
        if name != EMBEDDING:
            wanted = gguf.quants.dequantize(theirs[name].data, theirs[name].tensor_type)
            np.testing.assert_array_equal(tensor.array(), wanted, err_msg=name)


def test_the_bundled_base_is_a_llama(bundled_base: Path) -> None:
    file = LlamaFile(bundled_base)
    assert (file.config["hidden_size"], file.config["num_hidden_layers"]) == (576, 30)
    assert file.shapes["model.embed_tokens.weight"] == (49152, 576)
    assert 0.01 < file["model.layers.0.self_attn.q_proj.weight"].std() < 1


def test_a_kind_that_is_not_read_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", "BF16", np.ones((2, 32), np.float32))
    with pytest.raises(ModelError, match=r"not known here \(x is of the kind 30\); make a copy"):
        GgufFile.open(path)


def test_every_cut_is_found(tmp_path: Path) -> None:
    """A file that ends anywhere, and lengths that reach anywhere."""
    whole = write(tmp_path / "x.gguf", "Q4_1", np.ones((4, 32), np.float32)).read_bytes()
    path = tmp_path / "cut.gguf"
    for length in range(0, len(whole) - 32, 7):  # the last bytes may be padding
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="not a readable GGUF file"):
            GgufFile.open(path)
    at = whole.index(b"some.text") + len(b"some.text") + 4
    for length in (2**63, 2**40, len(whole)):
        path.write_bytes(whole[:at] + struct.pack("<Q", length) + whole[at + 8 :])
        with pytest.raises(ModelError, match="not a readable GGUF file"):
            GgufFile.open(path)
