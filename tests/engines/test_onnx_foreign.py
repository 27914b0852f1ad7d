"""A directory of graphs is opened only where it holds what was written: by content, operators and places of weights."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mellow
from mellow.checkpoints import verified
from mellow.checkpoints.cache import cache_folder, entries
from mellow.config import ModelConfig
from mellow.engines.onnx.foreign import check_graph
from mellow.errors import ModelError
from mellow.files import record
from mellow.graphs import proto
from mellow.graphs.graph import OPERATORS

onnx = pytest.importorskip("onnx")
ONE = np.ones(3, np.float32)


@pytest.fixture
def graphs(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model's graphs, and a cache that knows nothing of it."""
    mellow.load(tiny_model_dir)
    made = next(entry.path for entry in entries() if "-int8-" in entry.name)
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(made, tmp_path / "graphs"))


def record_again(folder: Path) -> None:
    """As somebody would who means harm: hashes and sizes fit what was put there."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["graphs"]["files"] = {name: record(folder / name) for name in config["graphs"]["files"]}
    config["graphs"]["config"] = ModelConfig.from_dict(config).content_sum()
    path.write_text(json.dumps(config))


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        mellow.load(folder)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400 + 2 * len(str(folder))
    return text


def change(path: Path, edit: Callable[[Any], object]) -> None:
    model = onnx.load(str(path), load_external_data=False)
    edit(model)
    path.write_bytes(model.SerializeToString())


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# --- content ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "encoder.weights", "decoder.weights"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_flipped_bit_is_found_even_where_the_time_is_put_back(graphs: Path, name: str, place: float) -> None:
    mellow.load(graphs)
    path = graphs / name
    before = path.stat()
    flip(path, int(place * before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert f"{name} is damaged" in refused(graphs)


def test_a_changed_config_is_found(graphs: Path) -> None:
    path = graphs / "config.json"
    path.write_text(path.read_text().replace('"frames_per_row": 2', '"frames_per_row": 3'))
    assert "config.json is damaged" in refused(graphs)


def test_files_are_read_once_a_day(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    real = verified.sha256
    monkeypatch.setattr(verified, "sha256", lambda path: (checked.append(path), real(path))[1])
    mellow.load(graphs)
    assert len(checked) == 5
    mellow.load(graphs)
    assert len(checked) == 5
    now = verified.time.time()
    for other in (now + 25 * 3600, now - 3600):  # a day later; a clock that was put back
        monkeypatch.setattr(verified.time, "time", lambda other=other: other)
        mellow.load(graphs)
    assert len(checked) == 15


@pytest.mark.parametrize("content", ["", "[]", '{"x": 5}', '{"x": {"checked": "y"}}', "\x00"])
def test_a_damaged_note_means_reading_again(graphs: Path, content: str) -> None:
    mellow.load(graphs)
    (cache_folder() / verified.FILE).write_text(content)
    flip(graphs / "decoder.weights", 5000)
    assert "decoder.weights is damaged" in refused(graphs)


def test_a_damaged_entry_of_the_cache_is_made_again(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tone: Any
) -> None:
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    expected = mellow.load(tiny_model_dir).ask(tone(), "What?", choices=["dog", "rain"]).probabilities
    (entry,) = entries()
    for name in ("decoder.weights", "encoder.onnx", "config.json"):
        content = (entry.path / name).read_bytes()
        flip(entry.path / name, len(content) // 2)
        assert mellow.load(tiny_model_dir).ask(tone(), "What?", choices=["dog", "rain"]).probabilities == expected
        assert (entry.path / name).read_bytes() == content
        assert "It is prepared again." in caplog.text
        caplog.clear()


# --- operators and places ---------------------------------------------------------------------------------------------


def test_the_list_of_operators_is_what_our_writer_uses(root: Path) -> None:
    used: set[str] = set()
    for path in (root / "src" / "mellow" / "graphs").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("op", "ops"):
                first = node.args[0]
                used |= {first.value} if isinstance(first, ast.Constant) else set()
    assert used == {kind for kinds in OPERATORS.values() for kind in kinds}


def add_node(model: onnx.ModelProto, op: str, domain: str = "") -> None:
    model.graph.node.append(onnx.helper.make_node(op, [], ["x"], domain=domain))


def nested(model: onnx.ModelProto) -> None:
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", inner))


def point(model: onnx.ModelProto, key: str, value: str) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.external_data)
    next(entry for entry in tensor.external_data if entry.key == key).value = value


FOREIGN: dict[str, tuple[Callable[[Any], object], str]] = {
    "an operator of the standard": (lambda m: add_node(m, "Loop"), "operator 'Loop'"),
    "a contributed operator": (lambda m: add_node(m, "Tokenizer", "com.microsoft"), "'com.microsoft.Tokenizer'"),
    "another domain": (lambda m: add_node(m, "Add", "ai.onnx.ml"), "'ai.onnx.ml.Add'"),
    "an operator without a name": (lambda m: add_node(m, ""), "operator ''"),
    "a subgraph": (nested, "field 6 of a attribute|field 6"),
    "a function": (lambda m: m.functions.append(onnx.FunctionProto(name="f")), "field 25"),
    "training": (lambda m: m.training_info.append(onnx.TrainingInfoProto()), "field 20"),
    "notes": (lambda m: onnx.helper.set_model_props(m, {"x": "y"}), "field 14"),
    "weights at an absolute path": (lambda m: point(m, "location", "/etc/passwd"), "'/etc/passwd'"),
    "weights above": (lambda m: point(m, "location", "../decoder.weights"), "'../decoder.weights'"),
    "weights in another file of it": (lambda m: point(m, "location", "tokenizer.json"), "'tokenizer.json'"),
    "weights behind the end": (lambda m: point(m, "offset", str(1 << 60)), "outside the file"),
    "weights before the beginning": (lambda m: point(m, "offset", "-4096"), "outside the file"),
    "an offset that is no number": (lambda m: point(m, "offset", "x"), "invalid literal"),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
def test_foreign_graphs_are_refused(graphs: Path, name: str, what: str) -> None:
    edit, message = FOREIGN[what]
    change(graphs / name, edit)
    assert "is damaged" in refused(graphs), "its hash is not the recorded one"
    record_again(graphs)
    assert any(part in refused(graphs) for part in message.split("|"))


@pytest.mark.parametrize("target", ["decoder.weights", "encoder.onnx", "tokenizer.json"])
def test_links_out_of_the_directory_are_refused(graphs: Path, tmp_path: Path, target: str) -> None:
    shutil.move(graphs / target, tmp_path / "elsewhere")
    (graphs / target).symlink_to(tmp_path / "elsewhere")
    assert "is a link out of the directory" in refused(graphs)


def test_a_whole_directory_may_be_reached_by_a_link(graphs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(graphs)
    mellow.load(tmp_path / "link")


@pytest.mark.parametrize("name", ["../decoder.weights", "extra.bin"])
def test_other_files_cannot_be_recorded(graphs: Path, name: str) -> None:
    path = graphs / "config.json"
    config = json.loads(path.read_text())
    config["graphs"]["files"][name] = {"bytes": 1, "sha256": ""}
    config["graphs"]["config"] = ModelConfig.from_dict(config).content_sum()
    path.write_text(json.dumps(config))
    assert name in refused(graphs)


@pytest.mark.parametrize("place", [{"dtype": "O"}, {"offset": -8}, {"offset": 1 << 70}, {"shape": [1 << 40, 1 << 40]}])
def test_an_embedding_outside_the_weights_is_refused(graphs: Path, place: dict[str, Any]) -> None:
    path = graphs / "config.json"
    config = json.loads(path.read_text())
    next(iter(config["graphs"]["embedding"].values())).update(place)
    config["graphs"]["config"] = ModelConfig.from_dict(config).content_sum()
    path.write_text(json.dumps(config))
    assert "embedding" in refused(graphs)


# --- bytes that are no graph ------------------------------------------------------------------------------------------


def small() -> bytes:
    tensor = proto.external_tensor("w", ONE, file="weights", offset=0)
    nodes = [proto.node("Add", ["x", "w"], ["y"], {"axis": 1, "text": "a", "many": [1, 2], "part": 0.5})]
    return proto.model(nodes, [tensor], [proto.value("x", "float32", ["n"])], [proto.value("y", "float32", [3])])


def test_our_own_are_accepted_and_every_cut_or_flip_ends_in_one_error_or_none(tmp_path: Path) -> None:
    whole, path = small(), tmp_path / "x.onnx"
    path.write_bytes(whole)
    check_graph(path, {"weights": 12})
    with pytest.raises(ModelError, match="outside the file"):
        check_graph(path, {"weights": 11})
    variants = [whole[:at] for at in range(1, len(whole))]
    variants += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (0, 7)
    ]
    found = 0
    for variant in variants:
        path.write_bytes(variant)
        try:
            check_graph(path, {"weights": 12})
        except ModelError:
            found += 1
    assert found > len(whole)


@pytest.mark.parametrize(
    "content", [b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" * 40, b"\x3a", b"\x0b", b"\x08" + b"\x80" * 20]
)
def test_lengths_that_reach_anywhere(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX graph that Mellow wrote"):
        check_graph(path, {})


def test_two_places_of_one_tensor_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(small())
    change(path, lambda m: m.graph.initializer[0].external_data.add(key="location", value="/etc/passwd"))
    with pytest.raises(ModelError, match="two values of 'location'"):
        check_graph(path, {"weights": 12})
