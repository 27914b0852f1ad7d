"""Published checkpoints become directories, whole or not at all; hub models are fetched and converted once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from typer.testing import CliRunner

import mellow
from mellow.cli import app
from mellow.errors import KeyMapError, ModelError
from mellow.model import convert as converting
from mellow.model import published
from mellow.model.build import build_encoder, build_mapper
from mellow.model.cnn14 import Cnn14, Cnn14Config
from mellow.model.configuration import MellowConfig
from mellow.model.convert import TOKENIZER, cached, convert, convert_encoder, import_checkpoint, published_config
from mellow.model.htsat import Htsat, HtsatConfig
from mellow.model.mapper import CompactMapper
from mellow.model.mapper_published import PublishedMapper
from mellow.model.modeling import MellowForConditionalGeneration
from mellow.model.one_part import WEIGHTS, load_encoder, load_one_part, read_config

State = dict[str, torch.Tensor]

pytestmark = pytest.mark.skipif(not TOKENIZER.is_file(), reason="the bundled tokenizer is not in this checkout")


# --- what a config builds -------------------------------------------------------------------------------------------


def test_a_config_names_encoder_and_mapper(published_config: MellowConfig) -> None:
    text = published_config.text_config.to_dict()
    sizes: dict[str, dict[str, Any]] = {
        "ced": {"width": 8, "depth": 1, "heads": 2, "classes": 5},
        "htsat": published_config.encoder_config,
        "cnn14": {"widths": [2, 4, 6], "mel_bins": 8, "classes": 5},
    }
    for kind, encoder_config in sizes.items():
        config = MellowConfig(encoder=kind, encoder_config=encoder_config, text_config=text)
        encoder = build_encoder(config)
        assert type(encoder).__name__.lower() == kind
        mapper = build_mapper(config, encoder)
        assert isinstance(mapper, CompactMapper)
        assert mapper.linear1.in_features == encoder.frame_width
        assert mapper.class_words.in_features == 5
    assert isinstance(build_mapper(published_config, build_encoder(published_config)), PublishedMapper)
    with pytest.raises(ModelError, match="htsat has no size depth, layers"):
        build_encoder(MellowConfig(encoder="htsat", encoder_config={"layers": 3, "depth": 1}, text_config=text))


def test_config_of_v0() -> None:
    config = published_config()
    with torch.device("meta"):
        model = MellowForConditionalGeneration(config)
    key_map = published.published_key_map()
    assert set(model.state_dict()) == {*key_map.mapped, *key_map.counters}
    assert (config.layout, config.text_config.vocab_size, config.text_config.num_hidden_layers) == (
        "published",
        49152,
        30,
    )


# --- directories ----------------------------------------------------------------------------------------------------


def test_a_converted_checkpoint_holds_the_same_weights(
    published_dir: Path, published_state: State, published_config: MellowConfig
) -> None:
    assert sorted(path.name for path in published_dir.iterdir()) == ["config.json", WEIGHTS, "tokenizer.json"]
    loaded = dict(load_one_part(published_dir, verify=True).state_dict())
    expected = import_checkpoint(published_state, published_config)
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert [path.name for path in published_dir.parent.iterdir() if path.name.endswith(".part")] == []


def test_config_survives(published_dir: Path, published_config: MellowConfig) -> None:
    config = read_config(published_dir)
    for name in ("encoder", "encoder_config", "layout", "base", "heard"):
        saved, given = (json.dumps(getattr(c, name), sort_keys=True) for c in (config, published_config))
        assert saved == given
    assert config.text_config.to_dict() == published_config.text_config.to_dict()
    assert config.text_config.rope_parameters["rope_theta"] == 100_000
    assert config.weights["bytes"] == (published_dir / WEIGHTS).stat().st_size


def test_transformers_reads_a_converted_directory(published_dir: Path) -> None:
    ours, theirs = load_one_part(published_dir), MellowForConditionalGeneration.from_pretrained(published_dir)
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())


def test_nothing_is_overwritten(published_checkpoint: Path, published_config: MellowConfig, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(ModelError, match="exists already; give a new directory"):
        convert(published_checkpoint, tmp_path, config=published_config)
    with pytest.raises(ModelError, match="exists already"):
        convert(published_checkpoint, tmp_path / "kept", config=published_config)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    (tmp_path / "empty").mkdir()
    assert load_one_part(convert(published_checkpoint, tmp_path / "empty", config=published_config))


def test_a_stopped_conversion_leaves_nothing(
    published_checkpoint: Path, published_config: MellowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ModelError, match=r"out cannot be written \(No space left on device\)"):
        convert(published_checkpoint, tmp_path / "out", config=published_config)
    assert list(tmp_path.iterdir()) == []


def test_unfit_checkpoints_and_tokenizers(
    published_state: State, published_config: MellowConfig, tmp_path: Path
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
    with pytest.raises(ModelError, match="knows 49151 tokens and the model 49152"):
        convert(tmp_path / "b.ckpt", tmp_path / "out", config=published_config, tokenizer=tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="HTSAT encoder and the published layout"):
        import_checkpoint(published_state, MellowConfig(text_config=published_config.text_config.to_dict()))
    assert not (tmp_path / "out").exists()


def damaged(directory: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy, dirs_exist_ok=True)
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    return copy


def test_damaged_directories(published_dir: Path, tmp_path: Path) -> None:
    flipped = damaged(published_dir, tmp_path, WEIGHTS, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="is damaged: it is not what was written"):
        load_one_part(flipped, verify=True)
    cut = damaged(published_dir, tmp_path, WEIGHTS, lambda content: content[: len(content) // 2])
    with pytest.raises(ModelError, match="is damaged: it is not what was written"):
        load_one_part(cut)
    for content in (b"{", b"[]", b'{"encoder": "owl"}'):
        broken = damaged(published_dir, tmp_path, "config.json", lambda _, content=content: content)  # type: ignore[misc]
        with pytest.raises(ModelError, match=r"config\.json is damaged|Unknown encoder 'owl'"):
            load_one_part(broken)
    for name in ("config.json", WEIGHTS, "tokenizer.json"):
        shutil.copytree(published_dir, tmp_path / "copy", dirs_exist_ok=True)
        (tmp_path / "copy" / name).unlink()
        with pytest.raises(ModelError, match=f"{name} is missing|lacks its weights"):
            mellow.load(tmp_path / "copy")


def test_shapes_that_do_not_fit(published_dir: Path, tmp_path: Path) -> None:
    settings = json.loads((published_dir / "config.json").read_text())
    settings["text_config"]["intermediate_size"] = 32
    other = damaged(published_dir, tmp_path, "config.json", lambda _: json.dumps(settings).encode())
    with pytest.raises(ModelError, match="has tensors of unfit shapes"):
        load_one_part(other)


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
        found, read_sizes, state = load_encoder(directory)
        assert found == kind
        encoder = build_encoder(MellowConfig(encoder=found, encoder_config=read_sizes))
        encoder.load_state_dict(state)
        assert all(torch.equal(tensor, ours[name]) for name, tensor in encoder.state_dict().items())
    with pytest.raises(ModelError, match="encoder 'owl' can be converted"):
        convert_encoder(tmp_path / "cnn14.pth", tmp_path / "out", encoder="owl")  # type: ignore[arg-type]
    with pytest.raises(KeyMapError, match=r"cnn14\.pth do not fit"):
        convert_encoder(tmp_path / "cnn14.pth", tmp_path / "out", encoder="htsat")


def test_a_model_is_no_encoder(published_dir: Path, tmp_path: Path) -> None:
    settings = json.loads((published_dir / "config.json").read_text())
    del settings["encoder"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="is no encoder directory"):
        load_encoder(tmp_path)


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.fixture
def downloads(
    published_checkpoint: Path, published_config: MellowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    published_checkpoint: Path, published_config: MellowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "published_config", lambda: published_config)
    words = ["convert", str(published_checkpoint), str(tmp_path / "my model")]
    done = CliRunner().invoke(app, words, prog_name="mellow")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, f"The model lies in {tmp_path / 'my model'}.")
    assert f"--model '{tmp_path / 'my model'}/' CLIP" in done.stdout
    again = CliRunner().invoke(app, words, prog_name="mellow")
    assert again.exit_code == 2
    assert again.stderr.startswith("Error: ")
    assert again.stderr.endswith("exists already; give a new directory.\n")
    other = CliRunner().invoke(app, [*words, "--encoder", "cnn14"], prog_name="mellow")
    assert other.exit_code == 2
    assert "do not fit" in other.stderr
