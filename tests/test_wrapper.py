"""The published code's example script, and what its wrapper refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mellow
from mellow import MellowWrapper, wrapper
from mellow.answer.decode import DecodingOptions
from mellow.answer.facade import Mellow
from mellow.errors import AudioError, ModelError, QuestionError

torch = pytest.importorskip("torch")
from mellow.importers import convert as converting
from mellow.model.configuration import MellowConfig

Tone = Callable[..., Path]

SCRIPT = """
import os
from pathlib import Path

import torch

from mellow import MellowWrapper

# setup cuda and device
cuda = torch.cuda.is_available()
device = 0 if cuda else "cpu"

# setup mellow
mellow = MellowWrapper(
                        config = "v0",
                        model = "v0",
                        device=device,
                        use_cuda=cuda,
                    )

# list of filepaths and prompts
path1 = os.path.join(FOLDER, "1.wav")
path2 = os.path.join(FOLDER, "2.wav")
examples = [
    [path1, path2, "what can you infer about the surroundings from the audio?"],
    [path1, path2, "caption the audio."],
    [path1, path2, "what is the primary sound event present in the clip? a) dog barking b) chirping birds"],
]

# generate response
response = mellow.generate(examples=examples, max_len=300, top_p=0.8, temperature=1.0)
print(f"\\noutput: {response}")
"""


@pytest.fixture
def tiny_v0(
    published_checkpoint: Path, published_config: MellowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub whose v0 is the tiny model, and an empty cache."""
    monkeypatch.setattr(converting, "hf_hub_download", lambda *_: str(published_checkpoint))
    monkeypatch.setattr(converting, "published_config", lambda: published_config)
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("tiny_v0")
def test_the_example_script_runs_unchanged(
    published: Mellow, tone: Tone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, hertz in ((1, 440), (2, 900)):
        (tmp_path / f"{number}.wav").write_bytes(tone(hertz, 2.0).read_bytes())
    scope: dict[str, Any] = {"FOLDER": str(tmp_path)}
    # as long as the original's 300 tokens: the tiny model never stops by itself
    exec(SCRIPT.replace("max_len=300", "max_len=8"), scope)
    response = scope["response"]
    assert f"output: {response}" in capsys.readouterr().out
    few = DecodingOptions(max_new_tokens=8)
    expected = [
        published.ask(tone(440, 2.0), prompt, audio2=tone(900, 2.0), decoding=few).text
        for _, _, prompt in scope["examples"][:2]
    ]
    assert response[:2] == expected
    assert len(response) == 3
    assert response[2] not in ("dog barking", "chirping birds")  # written freely, as the original does


@pytest.fixture
def small(published_dir: Path) -> MellowWrapper:
    return MellowWrapper(config="v0", model=published_dir, device="cpu", use_cuda=False)


def test_a_long_clip_has_one_plain_answer(small: MellowWrapper, tone: Tone) -> None:
    (text,) = small.generate([[tone(300, 12.0), "", "caption the audio."]], 4, 0.8, 1.0)
    assert "[0:" not in text
    middle = small.model.processor.clip(tone(300, 12.0))
    assert next(iter(small.model.processor.views(middle))).start == 1.0


def test_what_is_refused(small: MellowWrapper, tone: Tone, published_dir: Path) -> None:
    with pytest.raises(ModelError, match="no config 'v1'; the published one is 'v0'"):
        MellowWrapper(config="v1", model="v0", device="cpu", use_cuda=False)
    with pytest.raises(ModelError, match="no model 'v7'; use v0, v0_s, or the path"):
        MellowWrapper(config="v0", model="v7", device="cpu", use_cuda=False)
    with pytest.raises(QuestionError, match="Example 2 must be a list of audio path 1, audio path 2 and prompt"):
        small.generate([[tone(), tone(), "caption the audio."], [tone(), "caption the audio."]])
    with pytest.raises(QuestionError, match="Example 1 must be"):
        small.generate(["abc"])
    assert small.generate(
        [[tone(), tone(), "caption the audio."]], 1, 2, 0, "<|endoftext|>", True
    )  # no effect, as there
    with pytest.raises(AudioError, match=r"none\.wav"):
        small.generate([[tone(), "none.wav", "caption the audio."]])
    assert small.generate([]) == []


def test_devices(published_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(name: str, *, device: str, policy: Any) -> str:
        asked.append(device)
        return name

    monkeypatch.setattr(wrapper, "load", load)
    devices = ((0, True), ("1", True), ("cuda:1", True), (torch.device("cuda", 2), True), ("cpu", True), (0, False))
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        for device, use_cuda in devices:
            MellowWrapper("v0", published_dir, device, use_cuda)
    assert asked == ["cuda:0", "cuda:1", "cuda:1", "cuda:2", "cpu", "cpu", *["cpu"] * 6]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    MellowWrapper("v0", published_dir, 0)
    assert asked[-1] == "cuda:0"  # as in the original, use_cuda is True where it is not given


def test_it_is_a_public_name_that_loads_late() -> None:
    assert "MellowWrapper" in mellow.__all__
    assert mellow.MellowWrapper is wrapper.MellowWrapper
