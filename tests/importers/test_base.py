"""Importers of the two pretrained halves: total key maps, GGUF against transformers' own reading, requantisation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from mellow.checkpoints.llama import LlamaFile, check_total
from mellow.encoders import CedConfig
from mellow.errors import KeyMapError, ModelError
from mellow.importers.ced_onnx import read_ced_onnx
from mellow.importers.gguf_file import open_gguf, requantise_embedding
from mellow.model.ced import Ced
from mellow.model.checkpoint import read_llama_gguf
from mellow.text.prompt import CompactPrompt
from mellow.text.tokenizer import Tokenizer

TINY_CED = CedConfig(width=8, depth=2, heads=2, mel_bins=32, classes=5)


def test_check_total_names_what_is_missing_and_unknown() -> None:
    check_total({"a", "b"}, {"b", "a"}, what="x")
    with pytest.raises(KeyMapError, match=r"x does not match the key map: 1 missing \['a'\], 2 unknown \['c', 'd'\]"):
        check_total({"a", "b"}, {"b", "c", "d"}, what="x")


# --- CED from ONNX --------------------------------------------------------------------------------------------------


def tiny_ced_graph(seed: int = 0) -> tuple[onnx.GraphProto, dict[str, torch.Tensor]]:
    """A graph with the names of the published export (one matrix in int8), and the state it should be read as."""
    torch.manual_seed(seed)
    encoder = Ced(TINY_CED)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    state = {name: tensor for name, tensor in encoder.state_dict().items() if not name.endswith("num_batches_tracked")}
    tensors: dict[str, np.ndarray] = {}
    nodes: list[onnx.NodeProto] = []
    renamed = {
        "patch": "model.encoder.patch_embed.proj", "norm": "model.encoder.norm", "init_bn": "model.encoder.init_bn",
        "head_norm": "model.outputlayer.0", "head": "model.outputlayer.1",
    }  # fmt: skip
    for stem, theirs in renamed.items():
        tensors |= {f"{theirs}.{n.rpartition('.')[2]}": t.numpy() for n, t in state.items() if n.startswith(f"{stem}.")}
    tensors["model.encoder.time_pos_embed"] = state["time_position"].numpy()
    tensors["alias"] = state["frequency_position"].numpy()
    roles = {"qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
    for i in range(TINY_CED.depth):
        for norm in ("norm1", "norm2"):
            for part in ("weight", "bias"):
                tensors[f"model.encoder.blocks.{i}.{norm}.{part}"] = state[f"blocks.{i}.{norm}.{part}"].numpy()
        for ours, theirs in roles.items():
            tensors[f"model.encoder.blocks.{i}.{theirs}.bias"] = state[f"blocks.{i}.{ours}.bias"].numpy()
            constant = f"val_{len(nodes)}"
            tensors[constant] = state[f"blocks.{i}.{ours}.weight"].numpy().T.copy()
            nodes.append(helper.make_node("MatMul", [f"x{len(nodes)}", constant], [f"y{len(nodes)}"]))
    quantised = np.rint(tensors.pop("val_0") * 20).clip(-127, 127).astype(np.int8)
    tensors |= {"val_0_q": quantised, "val_0_s": np.float32(0.05), "val_0_z": np.int8(0)}  # type: ignore[dict-item]
    nodes[0].input[1] = "val_0_dq"
    state["blocks.0.qkv.weight"] = torch.from_numpy(quantised.T.astype(np.float32) * np.float32(0.05))
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    return helper.make_graph(nodes, "ced", [], [], initialisers), state


def save(graph: onnx.GraphProto, folder: Path) -> Path:
    path = folder / "ced.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def drop(graph: onnx.GraphProto, name: str) -> None:
    graph.initializer.remove(next(tensor for tensor in graph.initializer if tensor.name == name))


def test_every_tensor_of_the_export_is_read(tmp_path: Path) -> None:
    graph, expected = tiny_ced_graph()
    found = read_ced_onnx(save(graph, tmp_path), TINY_CED)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)


@pytest.mark.parametrize(
    "name",
    ["model.encoder.norm.bias", "alias", "model.outputlayer.1.weight", "model.encoder.blocks.1.mlp.fc2.bias", "val_3"],
)
def test_a_missing_tensor_is_an_error(tmp_path: Path, name: str) -> None:
    graph, _ = tiny_ced_graph()
    drop(graph, name)
    with pytest.raises(KeyMapError, match=r"ced\.onnx"):
        read_ced_onnx(save(graph, tmp_path), TINY_CED)


@pytest.mark.parametrize("name", ["val_0_s", "val_0_z"])
def test_an_int8_tensor_without_scale_or_zero_point_is_an_error(tmp_path: Path, name: str) -> None:
    graph, _ = tiny_ced_graph()
    drop(graph, name)
    with pytest.raises(KeyMapError, match=name):
        read_ced_onnx(save(graph, tmp_path), TINY_CED)


def test_an_unknown_tensor_is_an_error(tmp_path: Path) -> None:
    graph, _ = tiny_ced_graph()
    graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "model.encoder.blocks.2.norm1.weight"))
    with pytest.raises(KeyMapError, match=r"1 unknown \['model.encoder.blocks.2.norm1.weight'\]"):
        read_ced_onnx(save(graph, tmp_path), TINY_CED)


def test_a_file_that_is_no_graph_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ced.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="not a readable ONNX file"):
        read_ced_onnx(path, TINY_CED)
    with pytest.raises(ModelError, match="not a readable ONNX file"):
        read_ced_onnx(tmp_path / "absent.onnx", TINY_CED)


# --- a language model from GGUF -------------------------------------------------------------------------------------


def ours(path: Path) -> LlamaForCausalLM:
    model = LlamaForCausalLM(LlamaConfig(**LlamaFile(path).spec.to_config()))
    model.load_state_dict(read_llama_gguf(path))
    return model.eval()


def theirs(path: Path) -> LlamaForCausalLM:
    """transformers' own reading of the file."""
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


@torch.inference_mode()
def test_logits_equal_those_of_transformers_own_reading(tiny_gguf: Path) -> None:
    ids_BL = torch.randint(0, 49152, (2, 20), generator=torch.Generator().manual_seed(0))
    found = ours(tiny_gguf)(ids_BL).logits
    torch.testing.assert_close(found, theirs(tiny_gguf)(ids_BL).logits, rtol=1e-5, atol=1e-5)
    assert found.std() > 0.1


@torch.inference_mode()
def test_the_bundled_base_answers_as_transformers_reads_it(bundled_base: Path, tokenizer: Tokenizer) -> None:
    prompt = CompactPrompt(tokenizer)
    ids_BL = torch.tensor([[*prompt.prefix(0), *prompt.question("What is the capital of France?")]])
    answers = []
    for read in (ours, theirs):
        generated = read(bundled_base).generate(
            ids_BL, attention_mask=torch.ones_like(ids_BL), max_new_tokens=8, do_sample=False, pad_token_id=2
        )
        answers.append(generated[0, ids_BL.shape[1] :].tolist())
    assert answers[0] == answers[1]
    assert "Paris" in tokenizer.decode(answers[0])


# --- damaged and unfit files ----------------------------------------------------------------------------------------


def copy_gguf(source: Path, target: Path, *, without: str = "", extra: str = "", rename: str = "") -> Path:
    """A GGUF without some field or tensor, or with one more."""
    reader = open_gguf(source)
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", without):
            writer.add_key_value(name, field.contents(), field.types[0])
    for tensor in reader.tensors:
        if tensor.name != without:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    if extra:
        writer.add_tensor(extra, np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.mark.parametrize("name", ["token_embd.weight", "output_norm.weight", "blk.1.ffn_up.weight"])
def test_a_gguf_without_a_tensor_is_an_error(tiny_gguf: Path, tmp_path: Path, name: str) -> None:
    path = copy_gguf(tiny_gguf, tmp_path / "base.gguf", without=name)
    with pytest.raises(KeyMapError, match=rf"1 missing \['{name}'\]"):
        read_llama_gguf(path)


def test_a_gguf_with_an_unknown_tensor_is_an_error(tiny_gguf: Path, tmp_path: Path) -> None:
    path = copy_gguf(tiny_gguf, tmp_path / "base.gguf", extra="blk.0.attn_q.bias")
    with pytest.raises(KeyMapError, match=r"1 unknown \['blk.0.attn_q.bias'\]"):
        read_llama_gguf(path)


def test_a_gguf_without_a_field_is_an_error(tiny_gguf: Path, tmp_path: Path) -> None:
    path = copy_gguf(tiny_gguf, tmp_path / "base.gguf", without="llama.attention.head_count")
    with pytest.raises(ModelError, match=r"has no GGUF field 'llama.attention.head_count'"):
        LlamaFile(path)


@pytest.fixture(params=["absent", "folder", "empty", "text", "cut in the header", "cut in the tensors"])
def bad_gguf(request: pytest.FixtureRequest, tiny_gguf: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "base.gguf"
    whole = tiny_gguf.read_bytes()
    contents = {"empty": b"", "text": b"hello", "cut in the header": whole[:300], "cut in the tensors": whole[:-5000]}
    if request.param == "folder":
        path.mkdir()
    elif request.param in contents:
        path.write_bytes(contents[request.param])
    yield path


def test_a_file_that_is_no_whole_gguf_is_an_error(bad_gguf: Path) -> None:
    with pytest.raises(ModelError, match=r"base\.gguf") as caught:
        read_llama_gguf(bad_gguf)
    assert "\n" not in str(caught.value)


# --- requantising the embedding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "bound"), [("Q4_0", 0.06), ("Q8_0", 0.005)])
def test_requantising_changes_the_embedding_alone(tiny_gguf: Path, tmp_path: Path, kind: str, bound: float) -> None:
    """The embedding stays within half a step of its kind; tensors and fields beside it stay as they are."""
    target = tmp_path / "other.gguf"
    requantise_embedding(tiny_gguf, target, kind=kind)
    assert LlamaFile(target).spec == LlamaFile(tiny_gguf).spec
    kinds = {tensor.name: tensor.tensor_type.name for tensor in open_gguf(target).tensors}
    assert kinds["token_embd.weight"] == kind
    before, after = read_llama_gguf(tiny_gguf), read_llama_gguf(target)
    for name, tensor in before.items():
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            assert (after[name] - tensor).abs().max() < bound
        else:
            assert torch.equal(after[name], tensor), name


def test_requantising_copies_every_field(tiny_gguf: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source.gguf", tmp_path / "target.gguf"
    writer = gguf.GGUFWriter(source, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", "<|x|>"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_float32("some.float", 0.5)
    writer.add_bool("some.flag", True)
    writer.add_string("some.text", "zwölf")
    writer.add_chat_template("{{ x }}")
    writer.add_tensor("token_embd.weight", np.ones((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    requantise_embedding(source, target, kind="Q8_0")

    def read(path: Path) -> dict[str, object]:
        return {name: f.contents() for name, f in open_gguf(path).fields.items() if not name.startswith("GGUF.")}

    assert read(source).pop("tokenizer.chat_template") == "{{ x }}"
    assert read(target) == {name: value for name, value in read(source).items() if "chat_template" not in name}
    assert read(target)["some.numbers"] == [1, 2, 3]


def test_requantising_that_fails_leaves_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path
) -> None:
    target = tmp_path / "other.gguf"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", fail)
    with pytest.raises(OSError, match="disk full"):
        requantise_embedding(tiny_gguf, target, kind="Q8_0")
    assert target.read_bytes() == b"old"
