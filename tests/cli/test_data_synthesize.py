"""`mellow data synthesize`: what it passes on, prints, and refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellow.data.synthesis.captions import read_captions
from mellow.data.synthesis.parse import Pair
from mellow.data.synthesis.prompts import prompt_template
from mellow.data.synthesis.request import Setup, requests_for
from mellow.data.synthesis.store import Store

Run = Callable[..., Any]
Refusal = Callable[..., str]
KEY = "sk-secret-0123456789"


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "captions.csv"
    path.write_text("file_name,caption\na.wav,Rain falls\nb.wav,A dog barks\na.wav,Rain falls\n")
    return path


@pytest.fixture(autouse=True)
def no_real_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def words(captions: Path, *more: object, kind: str = "mcq", prompt: str = "general") -> list[object]:
    start = ["data", "synthesize", captions, "--out", captions.with_name("out.jsonl"), "--kind", kind]
    return [*start, "--prompt", prompt, "--model", "tiny", *more]


def test_dry_run(run: Run, captions: Path) -> None:
    prices = ("--price-in", 1, "--price-out", "1000", "--rate", 10)
    result = run(*words(captions, "--dry-run", *prices))
    assert result.exit_code == 0, result.stderr
    assert "requests        2 (0 captions are settled already)" in result.stdout
    assert "tokens written  580" in result.stdout
    assert "bundled model's tokenizer" in result.stdout
    assert "time            58 s at 10 tokens a second" in result.stdout
    assert "cost            0.58 at 1 and 1000 a million tokens" in result.stdout
    assert [path.name for path in captions.parent.iterdir()] == ["captions.csv"], "nothing is written"


def test_dry_run_leaves_out_what_is_done(run: Run, captions: Path) -> None:
    request = next(requests_for(read_captions(captions), Setup(prompt_template("general", "detail"), "tiny", 1)))
    with Store(captions.with_name("out.jsonl")) as store:
        found = [Pair(f"What is {n}?", "Rain.") for n in range(5)]
        store.accept(request, request.records(found, attempt=1, revision=""))
    result = run(*words(captions, "--dry-run", kind="detail"))
    assert "requests        1 (1 captions are settled already)" in result.stdout
    assert "time" not in result.stdout
    assert "requests        2 (0 captions" in run(*words(captions, "--dry-run", kind="mcq")).stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "The environment variable OPENAI_API_KEY holds no API key"),
        (("--endpoint", "http://127.0.0.1:9/v1", "--key-env", "NO_SUCH_NAME"), "NO_SUCH_NAME holds no API key"),
        (("--endpoint", "127.0.0.1:9"), "'127.0.0.1:9' is no address"),
        (("--endpoint", "http://127.0.0.1:9/v1"), "http://127.0.0.1:9/v1 cannot be reached"),
        (("--endpoint", "http://no.such.host.invalid/v1"), "http://no.such.host.invalid/v1 cannot be reached"),
        (("--type", 2), "Pairs of the general prompt are of type 1, not 2"),
        (("--prompt-version", 9), "has no version 9; use one of: 1"),
        (("--temperature", "nan"), "nan is not a finite number"),
    ],
)
def test_refusals(refusal: Refusal, captions: Path, more: tuple[object, ...], message: str) -> None:
    pytest.importorskip("openai")
    assert message.lower() in refusal(*words(captions, *more)).lower()


def test_refused_captions(refusal: Refusal, captions: Path) -> None:
    captions.write_text("text\nRain\n")
    assert "no column caption, but text" in refusal(*words(captions))
    assert "does not exist" in refusal(*words(captions.with_name("none.csv")))


def test_the_key_is_not_among_the_options(run: Run) -> None:
    """What stands on a command line is seen by every user of the machine."""
    text = run("data", "synthesize", "--help").stdout
    assert "--key-env" in text
    assert "--key " not in text
    assert "--api-key" not in text


def test_without_ray(refusal: Refusal, captions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "mellow.data.synthesis.on_ray", raising=False)
    assert "ray is missing); install them with: pip install 'ray[llm]'" in refusal(*words(captions, "--ray", 2))
    assert not captions.with_name("out.jsonl").exists()


def test_without_openai(refusal: Refusal, captions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "mellow.data.synthesis.endpoint", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "pip install 'mellow-audio[synthesis]'" in refusal(*words(captions))
