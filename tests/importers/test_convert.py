"""Published checkpoints become directories, whole or not at all; hub models are fetched and converted once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from typer.testing import CliRunner

import mellow
from mellow.checkpoints.full import WEIGHTS, read_encoder
from mellow.cli.commands import app
from mellow.config import ModelConfig
from mellow.encoders import Cnn14Config, HtsatConfig, encoder_spec, sizes_dict
from mellow.errors import KeyMapError, ModelError
from mellow.importers import convert as converting
from mellow.importers import published
from mellow.importers.convert import TOKENIZER, cached, convert, convert_encoder, import_checkpoint, published_config
from mellow.model.build import build_encoder, build_mapper
from mellow.model.checkpoint import load_checkpoint
from mellow.model.cnn14 import Cnn14
from mellow.model.configuration import MellowConfig
from mellow.model.htsat import Htsat
from mellow.model.mapper import CompactMapper
from mellow.model.mapper_published import PublishedMapper
from mellow.model.modeling import MellowForConditionalGeneration

State = dict[str, torch.Tensor]

pytestmark = pytest.mark.skipif(not TOKENIZER.is_file(), reason="the bundled tokenizer is not in this checkout")


# --- what a config builds -------------------------------------------------------------------------------------------


def test_a_config_names_encoder_and_mapper(published_config: ModelConfig) -> None:
    text = published_config.text_config
    sizes: dict[str, dict[str, Any]] = {
        "ced": {"width": 8, "depth": 1, "heads": 2, "classes": 5},
        "htsat": sizes_dict(published_config.sizes),
        "cnn14": {"widths": [2, 4, 6], "mel_bins": 8, "classes": 5},
    }
    for kind, encoder_config in sizes.items():
        settings = {"encoder": kind, "encoder_config": encoder_config, "text_config": text}
        config = ModelConfig.from_dict(settings)
        assert type(build_encoder(config)).__name__.lower() == kind
        mapper = build_mapper(config, 24)
        assert isinstance(mapper, CompactMapper)
        assert mapper.linear1.in_features == config.sizes.frame_width
        assert mapper.class_words.in_features == 5
    assert isinstance(build_mapper(published_config, 24), PublishedMapper)
    with pytest.raises(ModelError, match="htsat has no size depth, layers"):
        encoder_spec("htsat").sizes({"layers": 3, "depth": 1})


def test_config_of_v0() -> None:
    config = published_config()
    with torch.device("meta"):
        model = MellowForConditionalGeneration(MellowConfig.of(config))
    key_map = published.published_key_map()
    assert set(model.state_dict()) == {*key_map.mapped, *key_map.counters}
    assert (config.layout, config.llama.vocabulary, config.llama.layers) == ("published", 49152, 30)


# --- directories ----------------------------------------------------------------------------------------------------


def test_a_converted_checkpoint_holds_the_same_weights(
    published_dir: Path, published_state: State, published_config: ModelConfig
) -> None:
    assert sorted(path.name for path in published_dir.iterdir()) == ["config.json", WEIGHTS, "tokenizer.json"]
    loaded = dict(load_checkpoint(published_dir, verify=True).state_dict())
    expected = import_checkpoint(published_state, published_config)
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert [path.name for path in published_dir.parent.iterdir() if path.name.endswith(".part")] == []


def test_config_survives(published_dir: Path, published_config: ModelConfig) -> None:
    config = ModelConfig.read(published_dir)
    assert config.with_files().to_dict() == published_config.to_dict()
    assert config.llama.theta == 100_000
    assert config.files["weights"]["bytes"] == (published_dir / WEIGHTS).stat().st_size


def test_transformers_reads_a_converted_directory(published_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = load_checkpoint(published_dir), MellowForConditionalGeneration.from_pretrained(published_dir)
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())
    assert "MISSING" not in caplog.text


def test_nothing_is_overwritten(published_checkpoint: Path, published_config: ModelConfig, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(ModelError, match="exists already; give a new directory"):
        convert(published_checkpoint, tmp_path, config=published_config)
    with pytest.raises(ModelError, match="exists already"):
        convert(published_checkpoint, tmp_path / "kept", config=published_config)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    (tmp_path / "empty").mkdir()
    assert load_checkpoint(convert(published_checkpoint, tmp_path / "empty", config=published_config))


def test_a_stopped_conversion_leaves_nothing(
    published_checkpoint: Path, published_config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ModelError, match=r"out cannot be written \(No space left on device\)"):
        convert(published_checkpoint, tmp_path / "out", config=published_config)
    assert list(tmp_path.iterdir()) == []


def test_unfit_checkpoints_and_tokenizers(
    published_state: State, published_config: ModelConfig, tmp_path: Path
) -> None:
    name = "audio_encoder.base.c2l.bias"
    torch.save({k: v for k, v in published_state.items() if k != name} | {"odd": torch.ones(1)}, tmp_path / "a.ckpt")
    with pytest.raises(KeyMapError, match=rf"a\.ckpt do not fit: 1 missing \({name}\) and 1 unknown \(odd\)"):
        convert(tmp_path / "a.ckpt", tmp_path / "out", config=published_config)
    words = json.loads(TOKENIZER.read_text())
    del words["model"]["vocab"]["Ġtelesc"]
    words["model"]["merges"] = [pair for pair in words["model"]["merges"] if "telesc" not in "".join(pair)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(words))
    torch.save(published_state, tmp_path / "b.ckpt")
    with pytest.raises(ModelError, match="has 49151 tokens and the model 49152"):
        convert(tmp_path / "b.ckpt", tmp_path / "out", config=published_config, tokenizer=tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="HTSAT encoder and the published layout"):
        import_checkpoint(published_state, ModelConfig.from_dict({"text_config": published_config.text_config}))
    assert not (tmp_path / "out").exists()


def damaged(directory: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy, dirs_exist_ok=True)
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    return copy


def test_damaged_directories(published_dir: Path, tmp_path: Path) -> None:
    flipped = damaged(published_dir, tmp_path, WEIGHTS, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="is damaged: its content has changed"):
        load_checkpoint(flipped, verify=True)
    cut = damaged(published_dir, tmp_path, WEIGHTS, lambda content: content[: len(content) // 2])
    with pytest.raises(ModelError, match="is damaged: its content has changed"):
        load_checkpoint(cut)
    for content in (b"{", b"[]", b'{"encoder": "owl"}'):
        broken = damaged(published_dir, tmp_path, "config.json", lambda _, content=content: content)  # type: ignore[misc]
        with pytest.raises(ModelError, match=r"config\.json is damaged|Unknown encoder 'owl'"):
            load_checkpoint(broken)
    for name in ("config.json", WEIGHTS, "tokenizer.json"):
        shutil.copytree(published_dir, tmp_path / "copy", dirs_exist_ok=True)
        (tmp_path / "copy" / name).unlink()
        with pytest.raises(ModelError, match=f"{name} is missing|has no {name}"):
            mellow.load(tmp_path / "copy")


def test_shapes_that_do_not_fit(published_dir: Path, tmp_path: Path) -> None:
    settings = json.loads((published_dir / "config.json").read_text())
    settings["text_config"]["intermediate_size"] = 32
    other = damaged(published_dir, tmp_path, "config.json", lambda _: json.dumps(settings).encode())
    with pytest.raises(ModelError, match="has tensors of wrong shapes"):
        load_checkpoint(other)


# --- encoders -------------------------------------------------------------------------------------------------------


def randomise(module: torch.nn.Module) -> State:
    return {
        name: torch.tensor(7) if tensor.dtype == torch.int64 else torch.rand_like(tensor)
        for name, tensor in module.state_dict().items()
    }


def test_encoders(tmp_path: Path) -> None:
    htsat = HtsatConfig(mel_bins=16, chunks=2, width=4, depths=(2, 1), heads=(2, 4), window=4, mlp_ratio=2, classes=5)
    cnn14 = Cnn14Config(mel_bins=8, widths=(2, 3, 4), classes=5)
    kinds: list[tuple[Any, Any, Any, Any]] = [
        ("htsat", htsat, Htsat, published._htsat(htsat)),
        ("cnn14", cnn14, Cnn14, published._cnn14(cnn14)),
    ]
    for kind, sizes, build, key_map in kinds:
        ours = randomise(build(sizes))
        theirs = {their: ours[our] for our, their in (key_map.mapped | key_map.counters).items()}
        torch.save({"model": theirs}, tmp_path / f"{kind}.pth")
        directory = convert_encoder(tmp_path / f"{kind}.pth", tmp_path / kind, encoder=kind, sizes=sizes)
        spec, read_sizes, state = read_encoder(directory)
        assert (spec.kind, read_sizes) == (kind, sizes)
        assert state.keys() == sizes.shapes().keys()
        assert all(np.array_equal(array, ours[name].numpy()) for name, array in state.items())
    with pytest.raises(ModelError, match="encoder 'owl' can be converted"):
        convert_encoder(tmp_path / "cnn14.pth", tmp_path / "out", encoder="owl")
    with pytest.raises(KeyMapError, match=r"cnn14\.pth do not fit"):
        convert_encoder(tmp_path / "cnn14.pth", tmp_path / "out", encoder="htsat")


def test_a_model_is_no_encoder(published_dir: Path, tmp_path: Path) -> None:
    settings = json.loads((published_dir / "config.json").read_text())
    del settings["encoder"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="is not an encoder directory"):
        read_encoder(tmp_path)


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.fixture
def downloads(
    published_checkpoint: Path, published_config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, ...]]:
    """A hub that offers the tiny model as v0, an empty cache, and a record of what is fetched."""
    fetched: list[tuple[str, ...]] = []

    def download(*names: str) -> str:
        fetched.append(names)
        return str(published_checkpoint)

    monkeypatch.setattr(converting, "hf_hub_download", download)
    monkeypatch.setattr(converting, "published_config", lambda: published_config)
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    return fetched


def test_a_hub_model_is_fetched_and_converted_once(
    downloads: list[tuple[str, ...]], published_dir: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        directories = set(pool.map(cached, ["v0"] * 4))
    assert directories == {tmp_path / "cache" / "models" / "v0"}
    assert downloads == [("soham97/mellow", "v0.ckpt")]
    assert (cached("v0") / WEIGHTS).read_bytes() == (published_dir / WEIGHTS).read_bytes()
    assert mellow.load("v0", device="cpu").name == "v0"
    cached("v0_s")
    assert downloads[1:] == [("soham97/mellow", "v0_s.ckpt")]


def test_a_damaged_cache_is_made_again(downloads: list[tuple[str, ...]], caplog: pytest.LogCaptureFixture) -> None:
    weights = cached("v0") / WEIGHTS
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert (cached("v0") / WEIGHTS).read_bytes() == sound
    assert len(downloads) == 2
    assert "damaged" in caplog.text


def test_a_checkpoints_path(downloads: list[tuple[str, ...]], published_checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "my.ckpt"
    shutil.copyfile(published_checkpoint, copy)
    first = cached(str(copy))
    assert cached(str(copy)) == first
    torch.save(torch.load(copy), copy)
    assert cached(str(copy)) != first, "another content is another model"
    assert downloads == []
    assert mellow.load(copy, device="cpu").processor.prompt.stop_ids == (0,)
    with pytest.raises(ModelError, match=r"none\.ckpt' is missing"):
        mellow.load(tmp_path / "none.ckpt")


def test_offline(downloads: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str) -> str:
        raise LocalEntryNotFoundError("no network,\nand more lines")

    monkeypatch.setattr(converting, "hf_hub_download", download)
    message = r"'v0' cannot be fetched from the hub's soham97/mellow \(LocalEntryNotFoundError\); connect .* v0\.ckpt"
    with pytest.raises(ModelError, match=message):
        mellow.load("v0")


# --- the command ----------------------------------------------------------------------------------------------------


def test_command(
    published_checkpoint: Path, published_config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "published_config", lambda: published_config)
    words = ["convert", str(published_checkpoint), str(tmp_path / "my model")]
    done = CliRunner().invoke(app, words, prog_name="mellow")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, f"Wrote the model to {tmp_path / 'my model'}.")
    assert f"--model '{tmp_path / 'my model'}/' CLIP" in done.stdout
    again = CliRunner().invoke(app, words, prog_name="mellow")
    assert again.exit_code == 2
    assert again.stderr.startswith("Error: ")
    assert again.stderr.endswith("exists already; give a new directory.\n")
    other = CliRunner().invoke(app, [*words, "--encoder", "cnn14"], prog_name="mellow")
    assert other.exit_code == 2
    assert "do not fit" in other.stderr
