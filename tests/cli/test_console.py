"""How the command line ends: one sentence and a code for errors, quiet for a closed pipe, and a light start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mellow.cli import ask
from mellow.cli.console import command_error, printable, sentence
from mellow.errors import ModelError

Run = Callable[..., Any]
HEAVY = {"torch", "transformers", "onnx", "gguf", "tokenizers", "soundfile"}
COMMAND = [sys.executable, "-c", "from mellow.cli import main; main()"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("there is no file 'x'; check the path", "There is no file 'x'; check the path."),
        ("Already whole.", "Already whole."),
        ("two\n  lines\tand a tab", "Two lines and a tab."),
        ("'quoted' first", "'quoted' first."),
        ("\x1b[31mred", "\\x1b[31mred."),
        ("a lone \udce9 byte", "A lone \\udce9 byte."),
        ("dir/config.json is damaged", "dir/config.json is damaged."),  # a path keeps its case
        ("max_seconds is nan", "max_seconds is nan."),
        (f"got {'9' * 400}", f"Got {'9' * 40}...{'9' * 20}."),
    ],
)
def test_sentence(text: str, line: str) -> None:
    assert sentence(text) == line


def test_long_sentences_keep_both_ends() -> None:
    line = sentence(f"start {'x' * 10_000} end")
    assert len(line) < 620
    assert line.startswith("Start x")
    assert line.endswith("x end.")


def test_printable_keeps_text_in_any_script() -> None:
    assert printable("käse 犬\n\tпёс 🔔") == "käse 犬\n\tпёс 🔔"


def test_what_is_mended_how() -> None:
    assert command_error(ModelError("Unfit.")) == ("Unfit.", 2)
    text, code = command_error(ModuleNotFoundError("No module named 'peft'", name="peft"))
    assert "pip install 'mellow-audio[train]'" in text
    assert code == 2
    assert command_error(PermissionError(13, "Permission denied", "out/x")) == (
        "'out/x' cannot be used (Permission denied)",
        1,
    )
    assert command_error(ZeroDivisionError("by zero"))[1] == 1


def test_unexpected_errors(run: Run, tone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sources: object) -> None:
        raise RuntimeError("inner\nworkings")

    monkeypatch.setattr(ask, "check_count", fail)
    result = run("ask", tone(), "What is it?")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "RuntimeError: inner workings" in result.stderr
    assert "MELLOW_DEBUG=1" in result.stderr
    monkeypatch.setenv("MELLOW_DEBUG", "1")
    assert isinstance(run("ask", tone(), "What is it?").exception, RuntimeError)


def test_interrupt_while_listening_to_standard_input() -> None:
    with subprocess.Popen(
        [*COMMAND, "ask", "-", "What is it?"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as process:
        wait_until_reading(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")


def wait_until_reading(process: subprocess.Popen[bytes]) -> None:
    """Fill the pipe: it only takes more than its 64 KiB once the other end reads."""
    assert process.stdin is not None
    process.stdin.write(bytes(200_000))
    process.stdin.flush()


def test_closed_pipe_is_quiet() -> None:
    with subprocess.Popen([*COMMAND, "ask", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode != 0


def test_usage_errors_name_the_help() -> None:
    done = subprocess.run([*COMMAND, "base", "fetchh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "'fetchh'" in done.stderr
    assert "mellow base --help" in done.stderr


def test_a_terminal_without_unicode_gets_an_answer() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "ask", "käse-犬.wav", "?"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: There is no file 'k")


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("ask", "--help"), ("train", "--help")])
def test_help_is_light(words: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom mellow.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == "[]\n"
