"""Everything small, seeded and offline: a two-layer language model in GGUF, a two-part model on it, and tones.

Where torch is not installed, packages that need it are not collected, and other tests that need it are skipped.

Two things of the world outside are used where they are there: the bundled base (part of a full checkout) and the
folder `../shared` beside the repository (or MELLOW_SHARED); tests that need them are skipped, with the reason, without.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import soundfile

import mellow
from mellow.answer.facade import Mellow
from mellow.audio import CED
from mellow.checkpoints.adapter import write_adapter
from mellow.checkpoints.full import write_full
from mellow.checkpoints.llama import LlamaFile
from mellow.checkpoints.names import BUNDLED
from mellow.config import ModelConfig
from mellow.data.scenes.phrases import sounds
from mellow.encoders import encoder_spec
from mellow.llama import SMOLLM2_135M
from mellow.processor import Processor
from mellow.text.prompt import CompactPrompt
from mellow.text.tags import TagSettings
from mellow.text.tokenizer import Tokenizer

TORCH = importlib.util.find_spec("torch") is not None
TORCH_PACKAGES = ["data/dataset", "export", "importers", "model", "train"]  # what the extra "train" brings
collect_ignore = [] if TORCH else TORCH_PACKAGES
collect_ignore_glob = [] if TORCH else ["engines/test_torch_*"]

if TORCH:
    import torch

    from mellow.importers.published import published_key_map
    from mellow.model.checkpoint import load_checkpoint
    from mellow.model.modeling import MellowForConditionalGeneration
    from mellow.train.initial import adapt, initial_model
    from mellow.train.recipe import ModelRecipe

    torch.set_num_threads(2)

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MELLOW_SHARED", ROOT.parent / "shared"))
TOKENIZER = BUNDLED / "tokenizer.json"
RATE = CED.sample_rate

HIDDEN, HEADS, KV_HEADS, FFN, LAYERS, VOCABULARY = 64, 4, 2, 128, 2, 49152
ENCODER_SIZES = {"width": 32, "depth": 2, "heads": 2, "mlp_ratio": 4, "mel_bins": 64, "classes": 527}
RANK, ALPHA = 4, 8.0

Tone = Callable[..., Path]


# What --strict-warnings adds to the filters of pyproject.toml.
STRICT = (
    "error",
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # peft asks transformers by the old name
)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "make every warning an error, as CI does with the releases of constraints.txt"
    parser.addoption("--strict-warnings", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    for line in STRICT if config.getoption("--strict-warnings") else ():
        config.addinivalue_line("filterwarnings", line)


def pytest_report_header() -> str | None:
    return None if TORCH else f"torch is not installed: no tests of {', '.join(TORCH_PACKAGES)} and engines.torch"


@pytest.fixture(scope="session")
def with_torch() -> None:
    """Skips a test where torch is not installed."""
    if not TORCH:
        pytest.skip("needs torch: pip install 'mellow-audio[train]'")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MELLOW_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


# --- where things are -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A file or folder of `../shared`; skips the test where it is absent."""

    def find(name: str) -> Path:
        if not (SHARED / name).exists():
            pytest.skip(f"{SHARED / name} is not here; set MELLOW_SHARED to the folder that holds {name}")
        return SHARED / name

    return find


@pytest.fixture(scope="session")
def bundled_base() -> Path:
    """The bundled language model; skips the test in a checkout without it."""
    if not (BUNDLED / "base.gguf").is_file():
        pytest.skip("the bundled base.gguf is not in this checkout")
    return BUNDLED / "base.gguf"


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(TOKENIZER)


@pytest.fixture(scope="session")
def prompt(tokenizer: Tokenizer) -> CompactPrompt:
    return CompactPrompt(tokenizer)


@pytest.fixture(scope="session")
def processor(prompt: CompactPrompt) -> Processor:
    return Processor(CED, prompt)


# --- sound ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Tone:
    """Make a wav file: `tone(hertz, seconds)`; equal arguments give the same file."""
    folder = tmp_path_factory.mktemp("tones")

    def make(hertz: float = 440.0, seconds: float = 1.0) -> Path:
        path = folder / f"{hertz:g}-hz-{seconds:g}-s.wav"
        if not path.exists():
            time_S = np.arange(round(seconds * RATE)) / RATE
            noise_S = np.random.default_rng(int(hertz)).standard_normal(len(time_S))
            soundfile.write(path, 0.4 * np.sin(2 * np.pi * hertz * time_S) + 0.01 * noise_S, RATE)
        return path

    return make


# --- models ---------------------------------------------------------------------------------------------------------


def write_tiny_gguf(path: Path, *, seed: int = 0) -> None:
    """A random Llama; the embedding is small beside what the layers add, so that greedy answers do not just repeat."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(VOCABULARY)
    writer.add_context_length(1024)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)

    def norm(name: str) -> None:
        writer.add_tensor(name, (1 + 0.1 * rng.standard_normal(HIDDEN)).astype(np.float32))

    def matrix(name: str, rows: int, columns: int, *, spread: float, kind: gguf.GGMLQuantizationType) -> None:
        values = (spread * rng.standard_normal((rows, columns))).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    matrix("token_embd.weight", VOCABULARY, HIDDEN, spread=0.1, kind=gguf.GGMLQuantizationType.Q5_1)
    norm("output_norm.weight")
    kv_width = HIDDEN * KV_HEADS // HEADS
    shapes = {"attn_q": (HIDDEN, HIDDEN), "attn_k": (kv_width, HIDDEN), "attn_v": (kv_width, HIDDEN)}
    shapes |= {"attn_output": (HIDDEN, HIDDEN), "ffn_gate": (FFN, HIDDEN), "ffn_up": (FFN, HIDDEN)}
    shapes |= {"ffn_down": (HIDDEN, FFN)}
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm.weight")
        norm(f"blk.{layer}.ffn_norm.weight")
        for name, (rows, columns) in shapes.items():
            spread = 1.5 / columns**0.5
            matrix(f"blk.{layer}.{name}.weight", rows, columns, spread=spread, kind=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama for the bundled tokenizer: 4-bit matrices, 5-bit embedding."""
    path = tmp_path_factory.mktemp("gguf") / "base.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(scope="session")
def tiny_settings(tiny_gguf: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """The config.json of a two-part model on it, as training writes it."""
    by_index = {sound.index: sound.name for sound in sounds().values() if sound.index is not None}
    names = [by_index[i] for i in range(ENCODER_SIZES["classes"])]
    tags = TagSettings(names, mean=[-0.1] * len(names), std=[1.0] * len(names), count=3)
    content = tiny_gguf.read_bytes()
    return {
        "model_type": "mellow",
        "encoder": "ced",
        "encoder_config": ENCODER_SIZES,
        "text_config": LlamaFile(tiny_gguf).spec.to_config(),
        "layout": "compact",
        "frames_per_row": 2,
        "tags": tags.to_dict(),
        "base": {"file": "base.gguf", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "adapter": {"rank": RANK, "alpha": ALPHA},
        "choice": {},
    }


@pytest.fixture(scope="session")
def tiny_trained(tiny_settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Random weights of encoder, mapper and adapters, so that nothing is zero or neutral."""
    rng = np.random.default_rng(0)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name.endswith(("running_mean", "running_var")):
            return np.full(shape, -40.0 if name.endswith("mean") else 400.0, np.float32)
        spread = 0.2 if "norm" in name or len(shape) < 2 else np.prod(shape[1:]) ** -0.5
        centre = float("norm" in name and name.endswith("weight"))
        return (centre + spread * rng.standard_normal(shape)).astype(np.float32)

    trained = {}
    for name, shape in ModelConfig.from_dict(tiny_settings).shapes().items():
        stem = name.removesuffix(".weight")
        if not name.startswith("language_model."):
            trained[name] = draw(name, shape)
        elif stem.endswith("_proj"):
            for half, sizes in (("A", (RANK, shape[1])), ("B", (shape[0], RANK))):
                trained[f"{stem}.lora_{half}"] = draw(stem, sizes)
    return trained


@pytest.fixture(scope="session")
def tiny_model_dir(
    tiny_settings: dict[str, Any],
    tiny_trained: dict[str, np.ndarray],
    tiny_gguf: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A two-part model with its base beside it. Do not change it: copy it first."""
    folder = tmp_path_factory.mktemp("tiny_model")
    write_adapter(
        folder, config=ModelConfig.from_dict(tiny_settings), trained=tiny_trained, tokenizer=TOKENIZER, base=tiny_gguf
    )
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_model_dir: Path) -> Mellow:
    """The two-part model behind the facade; in `answer`, with either engine."""
    return mellow.load(tiny_model_dir, dtype="fp32")


@pytest.fixture(scope="session")
def tiny_recipe(with_torch: None, tiny_gguf: Path) -> ModelRecipe:
    return ModelRecipe(
        encoder_sizes=ENCODER_SIZES, base=str(tiny_gguf), heard_words=3, adapter_rank=RANK, adapter_alpha=ALPHA
    )


@pytest.fixture
def tiny_adapted(
    tiny_recipe: ModelRecipe, tiny_settings: dict[str, Any], tiny_trained: dict[str, np.ndarray], tokenizer: Tokenizer
) -> MellowForConditionalGeneration:
    """A fresh model with adapters, as training holds it, equal to the one in `tiny_model_dir`."""
    model = initial_model(tiny_recipe)
    adapt(model, tiny_recipe)
    inside = dict([*model.named_parameters(), *model.named_buffers()])
    with torch.no_grad():
        for name, array in tiny_trained.items():
            adapter = name.replace("language_model.", "language_model.base_model.model.", 1) + ".default.weight"
            inside[name if name in inside else adapter].copy_(torch.from_numpy(array))
    model.config.tags = tiny_settings["tags"]
    model.set_tokenizer(tokenizer)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_model(with_torch: None, tiny_model_dir: Path) -> MellowForConditionalGeneration:
    """The two-part model, loaded; frozen and shared by all tests."""
    return load_checkpoint(tiny_model_dir)


# --- the published layout -------------------------------------------------------------------------------------------

PUBLISHED_SIZES: dict[str, Any] = {"width": 4, "patch": 32, "depths": (1,), "heads": (2,), "mlp_ratio": 2, "classes": 5}
PUBLISHED_LLAMA = replace(SMOLLM2_135M, width=24, inner=48, layers=2, heads=3, key_heads=1, head_width=16)


@pytest.fixture(scope="session")
def published_config() -> ModelConfig:
    """Mellow v0, narrow and shallow: the same 32 steps, 129 audio tokens a clip, and vocabulary."""
    spec = encoder_spec("htsat")
    return ModelConfig(spec, spec.sizes(PUBLISHED_SIZES), PUBLISHED_LLAMA.to_config(), layout="published")


@pytest.fixture(scope="session")
def published_arrays(published_config: ModelConfig) -> dict[str, np.ndarray]:
    """Random weights under our names; the embedding is small, so that greedy answers do not just repeat."""
    rng = np.random.default_rng(0)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name.endswith(("running_mean", "running_var")):
            return np.full(shape, -40.0 if name.endswith("mean") else 400.0, np.float32)
        spread = 0.1 if "embed" in name or len(shape) < 2 else 1.5 * np.prod(shape[1:]) ** -0.5
        centre = float("norm" in name and name.endswith("weight"))
        return (centre + spread * rng.standard_normal(shape)).astype(np.float32)

    return {name: draw(name, shape) for name, shape in published_config.shapes().items()}


@pytest.fixture(scope="session")
def published_dir(
    published_config: ModelConfig, published_arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same as a model directory, as a conversion leaves it. Do not change it: copy it first."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    write_full(folder, config=published_config, state=published_arrays, tokenizer=TOKENIZER)
    return folder


@pytest.fixture(scope="session")
def published_state(
    with_torch: None, published_config: ModelConfig, published_arrays: dict[str, np.ndarray]
) -> dict[str, torch.Tensor]:
    """The same under the published names, constants left out."""
    ours = {name: torch.from_numpy(array) for name, array in published_arrays.items()}
    ours["language_model.lm_head.weight"] = ours["language_model.model.embed_tokens.weight"]
    key_map = published_key_map(published_config.sizes, published_config.llama)  # type: ignore[arg-type]
    state = {their: ours[our] for our, their in key_map.mapped.items()}
    state |= {name: state[other] for name, other in key_map.tied.items()}
    return state | {their: torch.tensor(0) for their in key_map.counters.values()}


@pytest.fixture(scope="session")
def published_checkpoint(published_state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file, with the prefix that some published files have."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt"
    torch.save({f"module.{name}": tensor for name, tensor in published_state.items()}, path)
    return path


@pytest.fixture(scope="session")
def published(published_dir: Path) -> Mellow:
    """The same behind the facade; in `answer`, with either engine."""
    return mellow.load(published_dir)


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Long texts make unreadable test names."""
    return repr(val[:30]) if isinstance(val, str) and len(val) > 30 else None
