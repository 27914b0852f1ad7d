"""A run against a real HTTP server: whatever the server does, every caption ends up answered once or given up."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai", reason="needs openai: pip install 'mellow-audio[synthesis]'")

from mellow.data.records import read_records
from mellow.data.synthesis.backoff import Backoff, retry_after
from mellow.data.synthesis.endpoint import Endpoint
from mellow.data.synthesis.request import Request
from mellow.data.synthesis.run import Summary, duration, pace, synthesize
from mellow.data.synthesis.store import Store, rejected_path
from mellow.errors import EndpointError

from .conftest import (
    KEY,
    Asked,
    Reply,
    Server,
    as_json,
    as_text,
    caption_in,
    lines,
    pairs,
    requests_about,
    setup_of,
    well,
)

QUICK = Backoff(first=0.001, longest=0.01, patience=20.0)


def endpoint(server: Server, **changes: Any) -> Endpoint:
    return Endpoint(server.url, KEY, **{"timeout": 10.0, "backoff": QUICK} | changes)


def run(server: Server, out: Path, requests: list[Request], *, ask: Endpoint | None = None, **how: Any) -> Summary:
    with Store(out) as store, ask or endpoint(server) as asking:
        return synthesize(requests, asking, store, **{"concurrency": 4} | how)


def answered(out: Path) -> Counter[str]:
    return Counter(record.captions[0] for record in read_records(out))


def first(reply: Reply, then: Callable[[Asked], Reply] = well, *, times: int = 1) -> Callable[[Asked], Reply]:
    """This reply to the first requests about each caption."""
    seen: Counter[str] = Counter()
    mutex = threading.Lock()

    def answer(asked: Asked) -> Reply:
        with mutex:
            seen[caption_in(asked)] += 1
            return reply if seen[caption_in(asked)] <= times else then(asked)

    return answer


# --- a server that answers well ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mcq", "detail"])
def test_five_pairs_for_every_caption(server: Server, tmp_path: Path, kind: str) -> None:
    requests = requests_about(20, setup_of(kind))  # type: ignore[arg-type]
    summary = run(server, tmp_path / "out.jsonl", requests)
    assert (summary.accepted, summary.pairs, summary.requests, summary.given_up) == (20, 100, 20, 0)
    assert (summary.prompt_tokens, summary.completion_tokens) == (6000, 1000)
    assert answered(tmp_path / "out.jsonl") == {request.caption.text: 5 for request in requests}
    assert {row["provenance"]["revision"] for row in lines(tmp_path / "out.jsonl")} == {"fp-7"}
    assert server.keys == {f"Bearer {KEY}"}
    asked = server.asked[0]
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("tiny", 0.7, 1500)
    assert len({asked["seed"] for asked in server.asked}) == 20


def test_a_second_run_asks_nothing(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(server, out, requests_about(5))
    before = out.read_bytes()
    summary = run(server, out, requests_about(5))
    assert (summary.earlier, summary.accepted, len(server.asked)) == (5, 0, 5)
    assert out.read_bytes() == before
    assert run(server, out, requests_about(7)).accepted == 2
    assert max(server.captions().values()) == 1


def test_no_more_requests_at_a_time_than_allowed(server: Server, tmp_path: Path) -> None:
    most, now, mutex = 0, 0, threading.Lock()

    def slow(asked: Asked) -> Reply:
        nonlocal most, now
        with mutex:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with mutex:
            now -= 1
        return well(asked)

    server.answer = slow
    run(server, tmp_path / "out.jsonl", requests_about(12), concurrency=3)
    assert most == 3


def test_progress_tells_rate_and_time_left(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run(server, tmp_path / "out.jsonl", requests_about(6), progress=lambda *what: told.append(what))
    assert [(done, total) for _, done, total in told] == [(n, 6) for n in range(7)]
    assert all("captions a minute" in step and "left" in step for step, done, _ in told if done)


def test_pace() -> None:
    assert pace(50, 200, 60.0) == "50 captions a minute, 3 min left"
    assert [duration(s) for s in (3.2, 59.4, 90, 3600, 12345)] == ["3 s", "59 s", "2 min", "1 h 0 min", "3 h 26 min"]


def test_a_budget_of_requests(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    summary = run(server, out, requests_about(10), max_requests=4)
    assert (summary.requests, summary.accepted, summary.is_over_budget) == (4, 4, True)
    summary = run(server, out, requests_about(10), max_requests=6)
    assert (summary.accepted, summary.is_over_budget, len(server.asked)) == (6, False, 10)
    assert set(server.captions().values()) == {1}


# --- a language model that does not do as it is told ------------------------------------------------------------------

NONSENSE = {
    "refusal": Reply("I'm sorry, but I can't help with that."),
    "cut off": Reply(as_json(pairs())[:200]),
    "unreadable": Reply("The the the the"),
    "wrong number of pairs": Reply(as_json(pairs(count=3))),
    "answer not among options": Reply(as_json([{**row, "answer": "A cat"} for row in pairs()])),
    "repeated option": Reply(as_json([{**row, "options": ["a", "a", "b", "c"], "answer": "b"} for row in pairs()])),
}


@pytest.mark.parametrize("reason", NONSENSE)
def test_a_rejected_output_is_kept_and_asked_for_again(server: Server, tmp_path: Path, reason: str) -> None:
    out = tmp_path / "out.jsonl"
    server.answer = first(NONSENSE[reason])
    summary = run(server, out, requests_about(4))
    assert (summary.accepted, summary.requests, summary.rejected) == (4, 8, {reason: 4})
    kept = lines(rejected_path(out))
    assert [(row["reason"], row["output"]) for row in kept] == [(reason, NONSENSE[reason].text)] * 4
    assert {record.provenance["attempt"] for record in read_records(out)} == {2}
    seeds = {asked["seed"] for asked in server.asked}
    assert len(seeds) == 8, "the same seed would give the same output"


def test_a_cut_that_only_the_server_knows_of(server: Server, tmp_path: Path) -> None:
    server.answer = first(Reply(as_json(pairs()), finish="length"))
    assert run(server, tmp_path / "out.jsonl", requests_about(1)).rejected == {"cut off": 1}


def test_a_refusal_field(server: Server, tmp_path: Path) -> None:
    message = b'{"role": "assistant", "content": null, "refusal": "I cannot assist with that."}'
    body = b'{"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [{"index": 0, "message": '
    server.answer = first(Reply(body=body + message + b', "finish_reason": "stop"}]}'))
    assert run(server, tmp_path / "out.jsonl", requests_about(1)).rejected == {"refusal": 1}


def test_a_caption_is_given_up_and_not_asked_about_again(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    server.answer = lambda asked: NONSENSE["refusal"] if caption_in(asked).endswith("2") else well(asked)
    summary = run(server, out, requests_about(4), attempts=3)
    assert (summary.accepted, summary.given_up, summary.requests) == (3, 1, 6)
    assert run(server, out, requests_about(4), attempts=3).requests == 0
    summary = run(server, out, requests_about(4), attempts=5)
    assert (summary.requests, summary.given_up) == (2, 1)
    assert server.captions()["Sound number 2"] == 5


# --- a server in trouble ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_trouble_that_passes(server: Server, tmp_path: Path, status: int) -> None:
    server.answer = first(Reply("busy", status=status), times=3)
    summary = run(server, tmp_path / "out.jsonl", requests_about(3))
    assert (summary.accepted, summary.requests, len(server.asked)) == (3, 3, 12)
    assert not rejected_path(tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>Bad gateway</html>", headers={"Content-Type": "text/html"}),
        Reply(body=b'{"choi'),
        Reply(body=b"{}"),
    ],
)
def test_a_body_that_is_no_answer(server: Server, tmp_path: Path, reply: Reply) -> None:
    server.answer = first(reply)
    assert run(server, tmp_path / "out.jsonl", requests_about(2)).accepted == 2


def test_a_server_that_is_too_slow_is_asked_again(server: Server, tmp_path: Path) -> None:
    slow = first(Reply("slow"))

    def answer(asked: Asked) -> Reply:
        reply = slow(asked)
        if reply.text == "slow":
            time.sleep(1.0)
        return reply

    server.answer = answer
    ask = endpoint(server, timeout=0.3)
    assert run(server, tmp_path / "out.jsonl", requests_about(2), ask=ask).accepted == 2
    assert set(server.captions().values()) == {2}


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(server: Server, tmp_path: Path, status: int) -> None:
    times: list[float] = []

    def answer(asked: Asked) -> Reply:
        times.append(time.monotonic())
        return well(asked) if len(times) > 1 else Reply("slow down", status=status, headers={"Retry-After": "1"})

    server.answer = answer
    run(server, tmp_path / "out.jsonl", requests_about(1))
    assert times[1] - times[0] >= 1.0


def test_what_servers_ask_for() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "0.5"}) == 0.5
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "-3"}) == 0
    assert 8 < (retry_after({"retry-after": formatdate(time.time() + 10, usegmt=True)}) or 0) <= 10
    for value in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "inf"}):
        assert retry_after(value) is None


def test_waits_grow_with_jitter_and_have_a_limit() -> None:
    backoff = Backoff(first=1.0, longest=60.0)
    for failures, most in ((1, 1), (2, 2), (3, 4), (7, 60), (10_000, 60)):
        waits = [backoff.wait(failures, None) for _ in range(200)]
        assert most / 2 <= min(waits) < max(waits) <= most
    assert all(30 <= backoff.wait(1, 30) <= 31 for _ in range(50))


def test_trouble_that_does_not_pass(server: Server, tmp_path: Path) -> None:
    """The run ends in one sentence, and what was answered before is there."""
    out = tmp_path / "out.jsonl"
    run(server, out, requests_about(2))
    server.answer = lambda asked: Reply("overloaded", status=503)
    ask = endpoint(server, backoff=Backoff(0.001, 0.01, patience=0.1))
    with pytest.raises(EndpointError, match=r"gives no answer \(status 503: .*overloaded.*\); run the command again"):
        run(server, out, requests_about(5), ask=ask)
    assert len(answered(out)) == 2
    server.answer = well
    assert run(server, out, requests_about(5)).accepted == 3


def test_a_wait_longer_than_patience_is_not_begun(server: Server, tmp_path: Path) -> None:
    server.answer = lambda asked: Reply("tomorrow", status=429, headers={"Retry-After": "86400"})
    with pytest.raises(EndpointError, match="gives no answer"):
        run(server, tmp_path / "out.jsonl", requests_about(2))


def test_a_server_that_has_never_answered_is_not_asked_for_long(server: Server, tmp_path: Path) -> None:
    server.answer = lambda asked: Reply("boom", status=500)
    ask = endpoint(server, backoff=Backoff(0.001, 0.01, patience=1e9))
    with pytest.raises(EndpointError, match="boom"):
        run(server, tmp_path / "out.jsonl", requests_about(1), ask=ask)
    assert len(server.asked) == 4


def test_waits_are_told_but_not_by_every_worker(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mellow")
    server.answer = first(Reply("busy", status=429), times=2)
    run(server, tmp_path / "out.jsonl", requests_about(8), concurrency=8)
    assert [record.message for record in caplog.records if "busy" in record.message] == caplog.messages
    assert len(caplog.messages) == 1


# --- a server that refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, r"refused the API key \(status 401\); name the variable with --key-env"),
        (403, r"refused the API key \(status 403\)"),
        (404, r"has no model 'tiny', or no chat completions \(status 404\)"),
        (400, r"refused the request \(status 400: .*no good.*\)"),
        (402, r"refused the request \(status 402: .*no good.*\)"),
    ],
)
def test_what_waiting_does_not_mend(server: Server, tmp_path: Path, status: int, message: str) -> None:
    server.answer = lambda asked: Reply(f"no good, {KEY}", status=status)
    with pytest.raises(EndpointError, match=message) as caught:
        run(server, tmp_path / "out.jsonl", requests_about(50), concurrency=1)
    assert len(server.asked) <= 3
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_money_left(server: Server, tmp_path: Path) -> None:
    body = b'{"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}'
    server.answer = lambda asked: Reply(status=429, body=body)
    with pytest.raises(EndpointError, match=r"refused the request .*quota"):
        run(server, tmp_path / "out.jsonl", requests_about(1))
    assert len(server.asked) == 1


def test_nobody_is_there(tmp_path: Path) -> None:
    ask = Endpoint("http://127.0.0.1:9/v1", KEY, backoff=Backoff(patience=1e9))
    with (
        Store(tmp_path / "out.jsonl") as store,
        pytest.raises(EndpointError, match=r"cannot be reached .*check the address"),
    ):
        synthesize(requests_about(3), ask, store)


def test_one_caption_that_the_server_refuses(server: Server, tmp_path: Path) -> None:
    """A filter for content, say: the caption is given up, the run goes on."""

    def answer(asked: Asked) -> Reply:
        return Reply("filtered", status=400) if caption_in(asked).endswith("3") else well(asked)

    server.answer = answer
    summary = run(server, tmp_path / "out.jsonl", requests_about(6), attempts=2, concurrency=1)
    assert (summary.accepted, summary.given_up, summary.rejected) == (5, 1, {"refused by the server": 2})
    assert "filtered" in lines(rejected_path(tmp_path / "out.jsonl"))[0]["detail"]
    assert "response_format" in server.asked[-1], "one refusal does not change how all others are asked"


# --- dialects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_without_schemas_is_asked_for_plain_text(
    server: Server, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mellow")

    def answer(asked: Asked) -> Reply:
        return Reply("response_format is unknown", status=status) if "response_format" in asked else well(asked)

    server.answer = answer
    for kind in ("mcq", "detail"):
        server.asked.clear()
        summary = run(server, tmp_path / f"{kind}.jsonl", requests_about(5, setup_of(kind)), concurrency=1)  # type: ignore[arg-type]
        assert (summary.accepted, len(server.asked)) == (5, 7)
        assert "Question: ..." in server.asked[-1]["messages"][0]["content"]
    assert "takes no JSON schema" in caplog.text


def test_llama_cpp_python_has_its_own_way(server: Server, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        wanted = asked.get("response_format", {})
        if wanted.get("type") == "json_schema":
            return Reply("validation error: 'response_format', Input should be 'text' or 'json_object'", status=500)
        return well(asked) if wanted["schema"]["type"] == "object" else Reply("no schema", status=400)

    server.answer = answer
    assert run(server, tmp_path / "out.jsonl", requests_about(3), concurrency=1).accepted == 3
    assert len(server.asked) == 4


def test_models_that_count_completion_tokens(server: Server, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        text = "Unsupported parameter: use 'max_completion_tokens' instead."
        return Reply(text, status=400) if "max_tokens" in asked else well(asked)

    server.answer = answer
    assert run(server, tmp_path / "out.jsonl", requests_about(3), concurrency=1).accepted == 3
    assert server.asked[-1]["max_completion_tokens"] == 1500
    assert "response_format" in server.asked[-1]


def test_plain_text_is_read_whatever_was_asked_for(server: Server, tmp_path: Path) -> None:
    server.answer = lambda asked: Reply(as_text(pairs(about=caption_in(asked))))
    assert run(server, tmp_path / "out.jsonl", requests_about(2)).accepted == 2


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_nowhere(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even where a server sends it back: in an error, in an output, in its fingerprint."""
    caplog.set_level(logging.DEBUG)
    echo = Reply(f"Your key is {KEY}.", status=500)
    server.answer = first(echo, first(Reply(f"Your key is {KEY}."), well))
    run(server, tmp_path / "out.jsonl", requests_about(3))
    assert "Your key is ***." in rejected_path(tmp_path / "out.jsonl").read_text()
    for path in tmp_path.rglob("*"):
        assert KEY not in path.read_text()
    assert KEY not in "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("mellow"))


# --- killed and interrupted -------------------------------------------------------------------------------------------


def command(server: Server, captions: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "mellow", "data", "synthesize", str(captions), "--out", str(out), "--kind", "mcq"]
    words += ["--prompt", "general", "--model", "tiny", "--endpoint", server.url, "--concurrency", "4", *more]
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def write_captions(path: Path, count: int) -> Path:
    path.write_text("caption,file_name\n" + "".join(f"Sound number {n},{n}.wav\n" for n in range(count)))
    return path


def slowly(asked: Asked) -> Reply:
    time.sleep(0.05)
    return well(asked)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_and_resumed(server: Server, tmp_path: Path) -> None:
    """kill -9 three times, at any moment: in the end every caption is answered once, and what was on disk stays."""
    captions, out = write_captions(tmp_path / "c.csv", 60), tmp_path / "out.jsonl"
    server.answer = slowly
    kept: set[str] = set()
    for more in (9, 7, 11):
        size = out.stat().st_size if out.exists() else 0
        process = command(server, captions, out)
        wait_until(lambda size=size, more=more: out.exists() and out.stat().st_size > size + more * 2500)  # type: ignore[misc]
        process.kill()
        process.communicate()
        store = Store(out)
        store.read()
        whole = {request.caption.text for request in requests_about(60) if request.key in store.done}
        assert kept < whole
        kept = whole
        assert len(kept) < 60
    process = command(server, captions, out)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert answered(out) == {f"Sound number {n}": 5 for n in range(60)}
    assert "Earlier runs had settled" in stdout
    twice = {caption for caption, count in server.captions().items() if count > 1}
    assert len(twice) <= 3 * 4, "only what was in flight is asked about again"
    assert f"{60 - len(kept)} of {60 - len(kept)} captions" in stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_interrupted_once(server: Server, tmp_path: Path) -> None:
    """What is in flight is waited for and kept."""
    captions, out = write_captions(tmp_path / "c.csv", 500), tmp_path / "out.jsonl"
    server.answer = slowly
    process = command(server, captions, out)
    wait_until(lambda: out.exists() and out.stat().st_size > 10_000)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "press Ctrl-C again" in stderr
    assert stderr.endswith("Interrupted.\n")
    assert "Traceback" not in stderr
    assert set(answered(out).values()) == {5}
    assert server.captions().keys() == answered(out).keys(), "all that was asked for is kept"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_interrupted_twice(server: Server, tmp_path: Path) -> None:
    captions, out = write_captions(tmp_path / "c.csv", 50), tmp_path / "out.jsonl"
    hung = threading.Event()

    def hang(asked: Asked) -> Reply:
        hung.wait(60)
        return well(asked)

    server.answer = hang
    with command(server, captions, out) as process:
        wait_until(lambda: len(server.asked) == 4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("Ctrl-C" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    hung.set()
