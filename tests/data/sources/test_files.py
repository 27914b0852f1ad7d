"""CSV and JSON of any length: every fault is one sentence with file and line, and nothing is read wrongly."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellow.data.sources import json_file
from mellow.data.sources.csv_file import csv_rows
from mellow.data.sources.json_file import json_objects, jsonl_objects

# --- CSV --------------------------------------------------------------------------------------------------------------


def rows(path: Path, **options: Any) -> list[tuple[int, int, dict[str, str]]]:
    return [tuple(row) for row in csv_rows(path, ("a", "b"), **options)]  # type: ignore[misc]


def test_quotes_and_newlines_in_fields(put: Any) -> None:
    path = put("x.csv", 'a,b,c\r\n"one, ""two""","x\ny",1\r\n\r\n3,4,5\n')
    assert rows(path) == [
        (2, 1, {"a": 'one, "two"', "b": "x\ny", "c": "1"}),
        (5, 2, {"a": "3", "b": "4", "c": "5"}),
    ]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa,b\n\xc3\xa9,2\n", "a,b\né,2".encode()])
def test_utf8_with_and_without_a_mark(put: Any, content: bytes) -> None:
    assert rows(put("x.csv", content)) == [(2, 1, {"a": "é", "b": "2"})]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_other_encodings_are_refused_unless_they_are_named(put: Any, fails: Any, encoding: str) -> None:
    path = put("x.csv", b"a,b\n1,2\n\xe9,3\n")
    assert fails(csv_rows(path, ("a",))) == (
        "x.csv, line 3: not utf-8 text; save the file as UTF-8 or name its encoding (0xe9 is 'é' in latin-1)."
    )
    assert rows(path, encoding=encoding)[1][2]["a"] == "é"


def test_tsv_and_gzip(put: Any) -> None:
    assert rows(put("x.tsv", "a\tb\n1,5\t2\n")) == [(2, 1, {"a": "1,5", "b": "2"})]
    assert rows(put("x.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0))) == [(2, 1, {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", "", "x.csv is empty; download it again."),
        ("x.csv", "c,b\n", "x.csv, line 1: the column 'a' is missing; found 'c', 'b'."),
        ("x.csv", "a,b,a\n", "x.csv, line 1: the column 'a' is there twice; rename one of them."),
        ("x.csv", "a,b\n1,2\n3\n", "x.csv, line 3: 1 fields, but the header has 2."),
        ("x.csv", "a,b\n1,2,3\n", "x.csv, line 2: 3 fields, but the header has 2."),
        ("x.csv", 'a,b\n1,2\n"3,4\n5,6\n', "x.csv, line 3: a quoted field that begins here is not closed."),
        ("x.csv", 'a,b\n"3,4\n' + "5,6\n" * 50_000, "x.csv, line 2: a quoted field that begins here is not closed."),
        ("x.csv", "a,b\n1,2\n".encode("utf-16"), "x.csv is UTF-16 text; save it as UTF-8."),
        ("x.csv", gzip.compress(b"a,b", mtime=0), "x.csv is gzip data; rename it so that it ends in '.gz'."),
        ("x.csv", "<!DOCTYPE html>\n<html>", "x.csv is a web page, not the data; download the file itself."),
    ],
)
def test_broken_tables(put: Any, fails: Any, name: str, content: str | bytes, sentence: str) -> None:
    assert fails(csv_rows(put(name, content), ("a", "b"))) == sentence


def test_a_quote_within_a_quoted_field(put: Any, fails: Any) -> None:
    assert fails(csv_rows(put("x.csv", 'a,b\n"x"y,2\n'), ("a",))).startswith("x.csv, line 2: not a row of a table (")


@pytest.mark.parametrize("cut", [5, 30])
def test_damaged_gzip(put: Any, fails: Any, cut: int) -> None:
    content = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert fails(csv_rows(put("x.csv.gz", content[:cut]), ("a",))).startswith("x.csv.gz is not a whole gzip file (")
    assert fails(csv_rows(put("x.csv.gz", b"a,b\n"), ("a",))).startswith("x.csv.gz is not a whole gzip file (")


def test_absent_and_unfit(put: Any, fails: Any, tmp_path: Path) -> None:
    assert fails(csv_rows(tmp_path / "no.csv", ("a",))) == "no.csv cannot be read (No such file or directory)."
    path = put("x.csv", "a\n1\n")
    for encoding in ("utf-16", "klingon"):
        assert fails(csv_rows(path, ("a",), encoding=encoding)).startswith(f"The encoding '{encoding}' cannot be read")


def test_a_line_without_end(put: Any, fails: Any) -> None:
    path = put("x.csv", b"a,b\n" + b"x" * (1 << 24) + b"xx\n")
    assert fails(csv_rows(path, ("a",))) == "x.csv, line 2: longer than 16 MiB, so this is no table."


# --- JSON -------------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
LISTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)


@pytest.mark.parametrize("block", [1, 7, 1 << 18])
@given(items=LISTS, indent=st.sampled_from([None, 0, 2]), ascii_only=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_list_is_read_whatever_the_blocks(
    tmp_path: Path, block: int, items: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path / "x.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_file, "BLOCK", block)
        path.write_text(json.dumps(items, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
        assert [item for _, item in json_objects(path)] == items
        path.write_text(json.dumps({"a": [1, "]"], "data": items, "b": 2.5}, indent=indent), encoding="utf-8")
        assert [item for _, item in json_objects(path, key="data")] == items


@pytest.mark.parametrize("block", [3, 1 << 18])
def test_every_cut_is_noticed(put: Any, fails: Any, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_file, "BLOCK", block)
    text = '[\n{"a": "x\\n", "b": [1, 2]},\n{"a": "é"}\n]'
    for end in range(1, len(text) - 1):
        sentence = fails(json_objects(put("x.json", text[:end])))
        assert sentence.startswith(f"x.json, line {1 + text[:end].count(chr(10))}: ") or "Unterminated" in sentence, end
        assert "the file ends in the middle of its list; download it again." in sentence, (end, sentence)


def test_the_line_of_each_object(put: Any) -> None:
    path = put("x.json", '[\n {"a": 1,\n  "b": 2},\n\n {"a": 3}, {"a": 4}\n]\n')
    assert [line for line, _ in json_objects(path)] == [2, 5, 5]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "x.json, line 1: the file ends in the middle of its list; download it again."),
        ('{"a": 1}', "x.json, line 1: a list of objects was expected."),
        ("[1]", "x.json, line 1: not an object with named fields."),
        ('[{"a": 1},\n 2]', "x.json, line 2: not an object with named fields."),
        ('[{"a": 1},\n{"a": x}]', "x.json, line 2: not JSON (Expecting value)."),
        ('[{"a": 1}\n{"a": 2}]', "x.json, line 2: a comma or ']' is missing."),
        ('[{"a": 1},\n]', "x.json, line 2: an object is missing behind the comma."),
        ('[{"a": 1}]\n[]', "x.json, line 2: more text behind the end of the list."),
        ('[{"a": "\\ud83d"}]', "x.json, line 1: the field 'a' holds half a character (a lone \\ud... escape)."),
        (b'[{"a": 1},\n{"a": "\xe9"}]', "x.json, line 2: not UTF-8 text; JSON must be saved as UTF-8."),
        ("[" * 100_000, "x.json, line 1: too many brackets inside each other."),
        ("version https://git-lfs.github.com/spec/v1\n", "x.json is a Git LFS pointer, not the data; run `git lfs pull`"
         " where it was cloned."),
    ],
)  # fmt: skip
def test_broken_json(put: Any, fails: Any, content: str | bytes, sentence: str) -> None:
    assert fails(json_objects(put("x.json", content))) == sentence


def test_lists_behind_a_key(put: Any, fails: Any) -> None:
    assert fails(json_objects(put("x.json", '{"a": 1}'), key="data")) == "x.json, line 1: the key 'data' is missing."
    assert fails(json_objects(put("x.json", "[]"), key="data")).startswith("x.json, line 1: an object with the key")
    assert fails(json_objects(put("x.json", '{"data": 3}'), key="data")).startswith("x.json, line 1: a list behind")
    assert "ends in the middle" in fails(json_objects(put("x.json", '{"data": [{"a": 1}]'), key="data"))


def test_json_lines(put: Any, fails: Any) -> None:
    assert list(jsonl_objects(put("x.jsonl", '{"a": 1}\n\n{"a": 2}'))) == [(1, {"a": 1}), (3, {"a": 2})]
    assert fails(jsonl_objects(put("x.jsonl", '{"a": 1}\n{"a": 2'))).startswith("x.jsonl, line 2: not JSON (")
    assert fails(jsonl_objects(put("x.jsonl", "[]\n"))) == "x.jsonl, line 1: not an object with named fields."


def test_memory_does_not_grow_with_the_list(put: Any) -> None:
    row = {"input": "what is heard? " * 20, "answer": "rain " * 40}

    def peak(count: int) -> int:
        path = put(f"{count}.json", json.dumps([row] * count))
        tracemalloc.start()
        try:
            assert sum(1 for _ in json_objects(path)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40_000) < 1.2 * peak(4_000)
