"""Our reading of GGUF against the gguf package's: values of every kind, settings, and files that are no whole ones."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from mellow.checkpoints.gguf import KINDS, GgufFile
from mellow.checkpoints.llama import EMBEDDING, LlamaFile
from mellow.errors import ModelError


def write(path: Path, kind: str, values: np.ndarray) -> Path:
    """A file with lists and single settings in front of one tensor."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "<|x|>"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_float32("llama.rope.freq_base", 0.5)
    writer.add_uint32("llama.block_count", 7)
    writer.add_bool("some.flag", True)
    writer.add_string("some.text", "zwölf")
    writer.add_chat_template("{{ ''.__class__ }}")
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


def test_wanted_numbers_are_read_and_all_else_is_passed_over(tmp_path: Path) -> None:
    fields = GgufFile.open(write(tmp_path / "x.gguf", "F32", np.ones((2, 32), np.float32))).fields
    assert fields == {"llama.rope.freq_base": 0.5, "llama.block_count": 7}


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
    assert (file.spec.width, file.spec.layers) == (576, 30)
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


# --- files that mean harm ---------------------------------------------------------------------------------------------

F32, U32, TEXT, ARRAY, U64 = 0, 4, 8, 9, 10


def name(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def field(key: str, kind: int, content: bytes) -> bytes:
    return name(key) + struct.pack("<I", kind) + content


def place(key: str, shape: tuple[int, ...], offset: int, kind: int = F32) -> bytes:
    return name(key) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def file_of(*fields: bytes, tensors: tuple[bytes, ...] = (), counts: tuple[int, int] | None = None) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, *(counts or (len(tensors), len(fields))))
    whole = head + b"".join(fields) + b"".join(tensors)
    return whole + bytes(-len(whole) % 32) + bytes(4096)


def many(count: int, inner: int, content: bytes = b"") -> bytes:
    return struct.pack("<IQ", inner, count) + content


HOSTILE: dict[str, tuple[bytes, str]] = {
    "settings without end": (file_of(counts=(0, 1 << 63)), "9223372036854775808 settings"),
    "tensors without end": (file_of(counts=(1 << 63, 0)), "9223372036854775808 tensors"),
    "a name without end": (file_of(struct.pack("<Q", 1 << 63)), "bytes in a name"),
    "a long name": (file_of(field("x" * 300, U32, bytes(4))), "300 bytes in a name"),
    "a text without end": (file_of(field("x", TEXT, struct.pack("<Q", (1 << 64) - 8))), "bytes in a text"),
    "a text that ends behind the file": (file_of(field("x", TEXT, struct.pack("<Q", 1 << 20))), ""),
    "a list without end": (file_of(field("x", ARRAY, many(1 << 63, U32))), "entries in a list"),
    "a list of texts without end": (file_of(field("x", ARRAY, many(1 << 63, TEXT))), "entries in a list"),
    "many empty texts": (file_of(field("x", ARRAY, many(1 << 24, TEXT))), ""),
    "a list of lists": (file_of(field("x", ARRAY, many(1, ARRAY, many(1, ARRAY)))), "kind 9"),
    "an unknown kind": (file_of(field("x", 77, b"")), "kind 77"),
    "a wanted number that is a text": (file_of(field("llama.block_count", TEXT, name("9"))), "is no number"),
    "a wanted number that is a list": (file_of(field("llama.block_count", ARRAY, many(1, U32, bytes(4)))), "no number"),
    "an alignment of zero": (file_of(field("general.alignment", U32, bytes(4))), "alignment is 0"),
    "an alignment that reaches anywhere": (
        file_of(field("general.alignment", U64, b"\xff" * 8), tensors=(place("a", (4,), 0),)),
        "is cut",
    ),
    "a tensor of many dimensions": (file_of(tensors=(place("a", (1,) * 9, 0),)), "9 dimensions"),
    "a tensor without end": (file_of(tensors=(place("a", (1 << 63, 1 << 63), 0),)), "is cut"),
    "a tensor at no place": (file_of(tensors=(place("a", (4,), (1 << 64) - 1),)), "is cut"),
    "overlapping tensors": (file_of(tensors=(place("a", (8,), 0), place("b", (8,), 16))), "b overlaps"),
    "the same tensor twice": (file_of(tensors=(place("a", (8,), 0), place("b", (8,), 0))), "overlaps"),
    "two tensors of one name": (file_of(tensors=(place("a", (8,), 0), place("a", (8,), 32))), "two tensors"),
    "a tensor of half a block": (file_of(tensors=(place("a", (40,), 0, kind=2),)), "no whole blocks"),
    "a tensor of blocks without a shape": (file_of(tensors=(place("a", (), 0, kind=2),)), "no whole blocks"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_one_sentence(tmp_path: Path, what: str) -> None:
    content, message = HOSTILE[what]
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"not a readable GGUF file .*{message}") as caught:
        GgufFile.open(path)
    assert str(caught.value).endswith(".")


def test_a_file_that_is_bounded_and_harmless_is_read(tmp_path: Path) -> None:
    """The same builder, so that what is refused above is refused for what is wrong with it."""
    path = tmp_path / "x.gguf"
    setting = field("llama.block_count", U32, struct.pack("<I", 5))
    words = field("tokenizer.ggml.tokens", ARRAY, many(2, TEXT, name("a") + name("b")))
    template = field("tokenizer.chat_template", TEXT, name("{{ cycler.__init__.__globals__ }}"))
    path.write_bytes(file_of(setting, words, template, tensors=(place("a", (8,), 0), place("b", (8,), 32))))
    found = GgufFile.open(path)
    assert found.fields == {"llama.block_count": 5}
    assert [tensor.shape for tensor in found.tensors.values()] == [(8,), (8,)]
