"""The ends of the environment: closed streams, full disks, Ctrl-C at any time, odd names, poor locales."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mellow.answer.facade import EncodedAudio, Mellow
from mellow.cli import ask as ask_command

Run = Callable[..., Any]
Refusal = Callable[..., str]
FEW = ("--max-new-tokens", "8")
COMMAND = [sys.executable, "-c", "from mellow.cli import main; main()"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


def shell(line: str, *words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run mellow in a shell, where `"$@"` in the line stands for the command with these words."""
    command = ["sh", "-c", line, "sh", *COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})


# --- standard streams -------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(("closed", "out"), [("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)])
def test_closed_streams(closed: str, out: bool, tiny_model_dir: Path, tone: Any) -> None:
    done = shell(f'"$@" {closed}', "ask", tone(), "What is it?", "--model", tiny_model_dir, *FEW)
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == out


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    """What a C library prints would land in it."""
    code = (
        "import os; from mellow.cli.console import prepare_streams; prepare_streams(); h = os.open('x', 1 | os.O_CREAT)"
    )
    line = f'cd {tmp_path} && "$0" -c "$1; print(1); os.write(h, str(h).encode())" {closed}'
    assert subprocess.run(["sh", "-c", line, sys.executable, code], check=False).returncode == 0
    assert int((tmp_path / "x").read_text()) > 2


@posix
def test_errors_with_closed_streams(tmp_path: Path) -> None:
    assert shell('"$@" 2>&-', "ask", "none.wav", "What is it?").returncode == 2
    closed = shell('"$@" <&-', "ask", "-", "What is it?")
    assert closed.returncode == 2
    assert closed.stderr == "Error: Standard input is closed; pipe a recording into it, or name a file.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk() -> None:
    full = shell('"$@" >/dev/full', "--version")
    assert full.returncode == 1
    assert full.stderr == "Error: 'standard output' cannot be used (No space left on device).\n"
    assert shell('"$@" 2>/dev/full', "ask", "none.wav", "What is it?").returncode == 2


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

AT_ONCE = """
import builtins, os, signal
real = builtins.__import__
def interrupted(name, *args):
    if name == {name!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *args)
builtins.__import__ = interrupted
from mellow.cli import main
main()
"""


@posix
@pytest.mark.parametrize("name", ["typer", "mellow.processor", "onnxruntime"])
def test_interrupt_while_modules_are_imported(name: str, tone: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE.format(name=name), "ask", str(tone()), "What is it?"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_interrupt_while_a_model_is_prepared(
    run: Run, tiny_model_dir: Path, tone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-made is left that could be used, and the next run prepares it."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path))
    words = ("ask", tone(), "What is it?", "--model", tiny_model_dir, "--dtype", "fp32", *FEW)

    def interrupt(path: Path) -> None:
        assert list(path.parent.iterdir()), "something was written"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mellow.files.sync", interrupt)
        result = run(*words)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("Interrupted.\n")
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == []
    assert run(*words).exit_code == 0
    assert len([path for path in (tmp_path / "models").iterdir() if path.is_dir()]) == 1


def test_interrupt_in_an_answer(run: Run, tiny: Mellow, tone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(*_: Any, **__: Any) -> Any:
        yield "A metal"
        raise KeyboardInterrupt

    monkeypatch.setattr("mellow.load", lambda name, **options: tiny, raising=False)
    monkeypatch.setattr(ask_command, "is_terminal", lambda: True)
    monkeypatch.setattr(EncodedAudio, "stream", pieces)
    result = run("ask", tone(), "What is it?")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "A metal\n", "Interrupted.\n")


# --- names and locales ------------------------------------------------------------------------------------------------

ODD = ["new\nline", "tab\tbell\x07", "--model", "-v", "[red]x", "emoji🔔", "%s {0}", "a" * 200]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(name: str, run: Run, tiny: Mellow, tone: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("mellow.load", lambda name, **options: tiny, raising=False)
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.wav").write_bytes(tone().read_bytes())
    result = run("ask", *FEW, "--", f"{name}.wav", "What is it?")
    assert result.exit_code == 0, result.stderr


@posix
@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"\xff\xfe", "käse-犬.wav".encode()])
def test_names_that_are_not_in_the_locale(name: bytes, tiny_model_dir: Path, tone: Any, tmp_path: Path) -> None:
    """Nor are a question and an option, which are read as UTF-8 all the same."""
    path = os.path.join(os.fsencode(tmp_path), name)
    Path(os.fsdecode(path)).write_bytes(tone().read_bytes())
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    words: list[str | bytes] = [*COMMAND, "ask", path, "Ist das ein Käse?", "--model", str(tiny_model_dir)]
    words += ["--choice", "犬", "--choice", "Käse"]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("犬\n", "Käse\n")


def test_text_that_is_not_utf_8(refusal: Refusal, tone: Any) -> None:
    assert "is not valid Unicode text" in refusal("ask", tone(), os.fsdecode(b"caf\xe9?"))
    assert "'caf\\udce9'" in refusal("ask", tone(), "Which?", "--choice", os.fsdecode(b"caf\xe9"), "--choice", "b")


def test_a_file_that_looks_like_an_option(
    refusal: Refusal, tone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--dog.wav").touch()
    monkeypatch.setattr(sys, "argv", ["mellow", "ask", "--dog.wav", "What is it?"])
    assert refusal("ask", "--dog.wav", "What is it?").endswith("name the file '--dog.wav' as './--dog.wav'.")


@posix
def test_a_pipe_with_a_name(run: Run, tiny: Mellow, tone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shell's `<(ffmpeg ...)` is one."""
    monkeypatch.setattr("mellow.load", lambda name, **options: tiny, raising=False)
    reading, writing = os.pipe()
    os.write(writing, tone(seconds=1.0).read_bytes()[:60_000])
    os.close(writing)
    result = run("ask", f"/dev/fd/{reading}", "What is it?", *FEW)
    os.close(reading)
    assert result.stdout == run("ask", tone(), "What is it?", *FEW).stdout


@posix
def test_what_is_no_file(refusal: Refusal) -> None:
    assert "'/dev/null' is a device, not a file" in refusal("ask", "/dev/null", "What is it?")
    assert "only files are read" in refusal("ask", "https://example.com/dog.wav", "What is it?")


@posix
def test_a_deleted_working_directory(tiny_model_dir: Path, tone: Any, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f'cd {gone} && rmdir {gone} && "$@"', "ask", tone(), "What?", "--model", tiny_model_dir, *FEW)
    assert done.returncode == 0, done.stderr
    assert done.stdout


# --- manners ----------------------------------------------------------------------------------------------------------


@posix
def test_without_color_and_on_a_dumb_terminal(tiny_model_dir: Path, tone: Any) -> None:
    words = [*COMMAND, "ask", str(tone()), "What is it?", "--model", str(tiny_model_dir), *FEW]
    assert "\x1b" not in on_terminal(words, {"TERM": "dumb"})
    assert "\x1b" not in on_terminal([*words, "--quiet"], {"TERM": "xterm"})
    plain = on_terminal(words, {"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[3" not in plain.replace("\x1b[?25", "")  # colours; the spinner still moves the cursor
    assert on_terminal(words, {"TERM": "xterm"}).split()[-1] == plain.split()[-1]


def on_terminal(words: list[str], environment: Mapping[str, str]) -> str:
    """What a program shows on a terminal."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment}) as run:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65_536):
                shown += block
        except OSError:  # Linux tells so that the other end has gone
            pass
    os.close(ours)
    assert run.returncode == 0, shown
    return shown.decode()


def test_quiet(run: Run, tiny: Mellow, tone: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    import logging

    def load(name: str, **options: object) -> Mellow:
        logging.getLogger("mellow.answer").warning("a notice")
        return tiny

    monkeypatch.setattr("mellow.load", load, raising=False)
    run("ask", tone(), "What is it?", *FEW)
    assert [record.message for record in caplog.records] == ["a notice"]
    caplog.clear()
    assert run("ask", tone(), "What is it?", "--quiet", *FEW).stdout
    assert caplog.records == []


def test_version(run: Run) -> None:
    assert run("-V").stdout == run("--version").stdout
    assert run("--version").stdout.startswith("mellow ")


@posix
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("mellow as", {"ask"}), ("mellow ask --engine o", {"onnx"}), ("mellow ask --model ", {"mini", "v0", "v0_s"})],
)
def test_completion(typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    completing = {"_MELLOW_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    assert set(shell('"$@"', env=completing).stdout.split()) == offered
