"""A language model that speaks HTTP: a real server in a thread, which answers, dawdles, fails or talks nonsense."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mellow.data.synthesis.captions import Caption
from mellow.data.synthesis.prompts import Kind, Style, prompt_template
from mellow.data.synthesis.request import Request, Setup

KEY = "sk-secret-0123456789"
Asked = dict[str, Any]


def pairs(kind: Kind = "mcq", *, about: str = "rain", count: int = 5) -> list[dict[str, Any]]:
    """Well-formed pairs as a language model writes them in JSON."""
    if kind == "detail":
        return [
            {"question": f"What of {about} is {n}?", "answer": f"It is {about}, as heard {n}."} for n in range(count)
        ]
    options = [f"{about} on a roof", "A dog barking", "A bell, struck once", "Steps on gravel"]
    return [
        {"question": f"Which sound is number {n}?", "options": options, "answer": options[n % 4]} for n in range(count)
    ]


def as_json(rows: list[dict[str, Any]]) -> str:
    return json.dumps({"pairs": rows})


def as_text(rows: list[dict[str, Any]]) -> str:
    """The plain text form of the prompts."""
    blocks = []
    for row in rows:
        marked = [f"{letter}) {option}" for letter, option in zip("ABCD", row.get("options", ()), strict=False)]
        answer = next((mark for mark in marked if mark[3:] == row["answer"]), row["answer"])
        blocks.append(f"Question: {' '.join((row['question'], *marked))}\nAnswer: {answer}")
    return "\n\n".join(blocks)


def caption_in(asked: Asked) -> str:
    return str(asked["messages"][-1]["content"]).partition(": ")[2]


def kind_of(asked: Asked) -> Kind:
    return "mcq" if "options" in asked["messages"][0]["content"] else "detail"


@dataclass
class Reply:
    """What the server sends: an output of the model, or a body and a status of its own."""

    text: str = ""
    finish: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def payload(self, asked: Asked) -> bytes:
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "code": None}}).encode()
        choice = {"index": 0, "finish_reason": self.finish, "message": {"role": "assistant", "content": self.text}}
        usage = {"prompt_tokens": 300, "completion_tokens": 50, "total_tokens": 350}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
        return json.dumps(answer | {"usage": usage, "system_fingerprint": "fp-7"}).encode()


def well(asked: Asked) -> Reply:
    """Five pairs, in the form that was asked for."""
    rows = pairs(kind_of(asked), about=caption_in(asked))
    return Reply(as_json(rows) if "response_format" in asked else as_text(rows))


class Server:
    """The server; `answer` says what it does, `asked` what it was sent, `keys` with which Authorization."""

    def __init__(self) -> None:
        self.answer: Callable[[Asked], Reply] = well
        self.asked: list[Asked] = []
        self.keys: set[str | None] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked)
                outer.keys.add(self.headers["Authorization"])
                reply = outer.answer(asked)
                content = reply.payload(asked)
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
                for name, value in (headers | reply.headers).items():
                    self.send_header(name, value)
                with contextlib.suppress(ConnectionError):  # the asker was killed
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def captions(self) -> Counter[str]:
        """How often each caption was asked about."""
        return Counter(map(caption_in, self.asked))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture(autouse=True)
def no_real_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_LOG"):
        monkeypatch.delenv(name, raising=False)


def setup_of(kind: Kind = "mcq", style: Style = "general", **changes: Any) -> Setup:
    values = {"model": "tiny", "type": 1 if style == "general" else 2} | changes
    return Setup(prompt_template(style, kind), **values)


def request_about(caption: str = "Rain falls", audio: str = "a.wav", setup: Setup | None = None) -> Request:
    return Request(setup or setup_of(), Caption(caption, audio, "clotho", "val", "CC0"))


def requests_about(count: int, setup: Setup | None = None) -> list[Request]:
    return [request_about(f"Sound number {n}", f"{n}.wav", setup) for n in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
