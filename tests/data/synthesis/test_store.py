"""What is on disk: whole blocks only, each known again, and nobody else's files are touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mellow.data.records import read_records
from mellow.data.synthesis.parse import RejectedError, parse_pairs
from mellow.data.synthesis.request import Request, caption_hash, requests_for
from mellow.data.synthesis.store import Store, rejected_path
from mellow.errors import DataError

from .conftest import as_json, lines, pairs, request_about, requests_about, setup_of


def accept(store: Store, request: Request) -> None:
    found = parse_pairs(as_json(pairs(request.setup.prompt.kind)), request.setup.prompt.kind)
    store.accept(request, request.records(found, attempt=1, revision="fp-7"))


def filled(path: Path, requests: list[Request]) -> bytes:
    with Store(path) as store:
        for request in requests:
            accept(store, request)
    return path.read_bytes()


def reopened(path: Path) -> Store:
    with Store(path) as store:
        return store


def test_records_say_where_they_come_from(tmp_path: Path) -> None:
    setup = setup_of("mcq", "expert", type=3, seed=4, revision="abc")
    filled(tmp_path / "out.jsonl", [request_about("Rain falls", "a.wav", setup)])
    records = list(read_records(tmp_path / "out.jsonl"))
    assert len(records) == 5
    first = records[0]
    assert (
        first.question
        == "Which sound is number 0? A) rain on a roof B) A dog barking C) A bell, struck once D) Steps on gravel"
    )
    assert first.answer == "rain on a roof"
    assert first.choices == ("rain on a roof", "A dog barking", "A bell, struck once", "Steps on gravel")
    assert (first.audio, first.captions) == (("a.wav",), ("Rain falls",))
    assert (first.task, first.subtype, first.source, first.split, first.licence) == (
        "mcq",
        "Clotho-MCQ.json",
        "clotho",
        "val",
        "CC0",
    )
    assert first.provenance == {
        "type": 3, "kind": "mcq", "llm": "tiny", "revision": "abc", "prompt": "expert-mcq", "prompt_version": 1,
        "seed": 4, "attempt": 1, "caption_hash": caption_hash("Rain falls"), "pair": 1,
    }  # fmt: skip
    assert [record.provenance["pair"] for record in records] == [1, 2, 3, 4, 5]


def test_what_makes_a_request_another_one() -> None:
    base = request_about()
    others = [
        request_about("Rain fell"),
        request_about(audio="b.wav"),
        request_about(setup=setup_of("detail")),
        request_about(setup=setup_of(style="expert")),
        request_about(setup=setup_of(model="small")),
        request_about(setup=setup_of(seed=1)),
    ]
    assert len({base.key, *(other.key for other in others)}) == 7
    assert request_about(setup=setup_of(revision="r")).key == base.key
    seeds = {request.server_seed(attempt) for request in (base, *others) for attempt in (1, 2, 3)}
    assert len(seeds) == 21
    assert max(seeds) < 2**31


def test_a_caption_that_stands_twice_is_asked_about_once() -> None:
    captions = [request.caption for request in requests_about(3)]
    assert len(list(requests_for(captions + captions, setup_of()))) == 3


@pytest.mark.parametrize(("style", "number"), [("general", 2), ("expert", 1), ("general", 4)])
def test_types_go_with_prompts(style: str, number: int) -> None:
    with pytest.raises(DataError, match=f"Pairs of the {style} prompt are of type"):
        setup_of(style=style, type=number)  # type: ignore[arg-type]


def test_done_and_attempts_are_known_again(tmp_path: Path) -> None:
    one, two, three = requests_about(3)
    out = tmp_path / "deep" / "out.jsonl"
    with Store(out) as store:
        accept(store, one)
        for attempt in (1, 2):
            store.reject(two, RejectedError("refusal", "I cannot"), "I cannot \ud800 \x00 é", attempt=attempt)
    again = reopened(out)
    assert again.done == {one.key}
    assert (again.attempts[two.key], again.attempts[three.key]) == (2, 0)
    row = lines(rejected_path(out))[1]
    assert (row["reason"], row["output"], row["caption"]) == ("refusal", "I cannot \ud800 \x00 é", two.caption.text)
    assert row["provenance"]["attempt"] == 2


@pytest.mark.parametrize("kind", ["mcq", "detail"])
def test_torn_anywhere_in_the_last_block(tmp_path: Path, kind: str) -> None:
    """As a kill or a crash leaves it: the block is cut off and its caption asked about again."""
    out = tmp_path / "out.jsonl"
    requests = requests_about(3, setup_of(kind))  # type: ignore[arg-type]
    whole = filled(out, requests)
    start = len(filled(tmp_path / "two.jsonl", requests[:2]))
    for size in [start, start + 1, start + 7, start + 50, *range(start, len(whole), 97), len(whole) - 1]:
        out.write_bytes(whole[:size])
        assert reopened(out).done == {requests[0].key, requests[1].key}
        assert out.stat().st_size == start
    out.write_bytes(whole)
    assert len(reopened(out).done) == 3
    assert out.read_bytes() == whole


def test_a_torn_line_of_rejected_outputs(tmp_path: Path) -> None:
    out, request = tmp_path / "out.jsonl", request_about()
    with Store(out) as store:
        for attempt in (1, 2):
            store.reject(request, RejectedError("refusal", "no"), "No.", attempt=attempt)
    path = rejected_path(out)
    path.write_bytes(path.read_bytes()[:-20])
    assert reopened(out).attempts[request.key] == 1
    assert len(lines(path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"my only notes",
        b"my only notes\n",
        b'{"id": 1}\n',
        b'{"question": "What is it?", "answer": "A dog."}\n',
        b'{"id": "a", "question": "q", "answer": "a", "provenance": {"llm": "x"}}\n',
        b'{"id": "a", "question": "q", "answer": "a", "provenance": []}\n',
        b"[]\n",
        b"\xff\xfe\n",
    ],
)
def test_files_of_others_are_left_alone(content: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for path in (out, rejected_path(out)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"line 1: .*not written by 'mellow data synthesize'"), Store(out):
            pass
        assert path.read_bytes() == content
        path.unlink()


def test_a_filtered_file_is_no_output_file(tmp_path: Path) -> None:
    """Whose lines are ours, but not all of them: to cut it would lose what somebody chose."""
    out = tmp_path / "out.jsonl"
    whole = filled(out, requests_about(3)).splitlines(keepends=True)
    chosen = b"".join(whole[:3] + whole[5:])
    out.write_bytes(chosen)
    with pytest.raises(DataError, match="line 4: not the pair that follows"), Store(out):
        pass
    assert out.read_bytes() == chosen


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    content = filled(out, requests_about(3)).splitlines(keepends=True)
    content[6] = content[6][:50] + b"\n"
    out.write_bytes(b"".join(content))
    with pytest.raises(DataError, match="line 7: not a whole JSON object"), Store(out):
        pass


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path / "out.jsonl"):
        with pytest.raises(DataError, match="Another run is writing to"), Store(tmp_path / "out.jsonl"):
            pass
        with Store(tmp_path / "other.jsonl"):
            pass
    reopened(tmp_path / "out.jsonl")


def test_reading_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    torn = filled(out, requests_about(2))[:-10]
    out.write_bytes(torn)
    store = Store(out)
    store.read()
    assert len(store.done) == 1
    assert out.read_bytes() == torn
    Store(tmp_path / "none.jsonl").read()
    assert not (tmp_path / "none.jsonl").exists()


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from mellow.data.synthesis.captions import Caption
from mellow.data.synthesis.parse import Pair
from mellow.data.synthesis.prompts import prompt_template
from mellow.data.synthesis.request import Request, Setup
from mellow.data.synthesis.store import Store
setup = Setup(prompt_template("general", "detail"), "tiny", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
with Store(sys.argv[1]) as store:
    for n in range(100):
        request = Request(setup, Caption(f"Sound {n}", f"{n}.wav"))
        try:
            pairs = [Pair(f"What is {k}?", "A dog.") for k in range(5)]
            store.accept(request, request.records(pairs, attempt=1, revision=""))
        except OSError as error:
            print(json.dumps([n, error.filename, error.strerror]))
            break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_no_room_left(tmp_path: Path) -> None:
    """What cannot be written whole is taken back; what was written before stays."""
    out = tmp_path / "out.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, out], capture_output=True, text=True, check=True)
    written, file, why = json.loads(done.stdout)
    assert (file, why) == (str(out), "File too large")
    assert 0 < written < 100
    assert len(lines(out)) == 5 * written
    assert len(reopened(out).done) == written


def test_a_late_worker_writes_nowhere(tmp_path: Path) -> None:
    store = reopened(tmp_path / "out.jsonl")
    with pytest.raises(OSError):
        accept(store, request_about())
