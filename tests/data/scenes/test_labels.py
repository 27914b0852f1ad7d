"""Tables of labels, held-out sounds and duplicates: in any form that people write, with every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mellow.data.scenes.labels import Labelling, read_keys, read_labels
from mellow.errors import DataError


def table(folder: Path, text: str, name: str = "labels.tsv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "source\tlabel\tkeys\tkind\n\tbig dog\tdog, bark,dog\tevent\n\tdrizzle\train\tbackground\n"),
        ("a.tsv", "\ufefflabel\tkeys\tkind\r\nbig dog\tdog,bark\t\r\n\r\ndrizzle\train\tbackground\r\n"),
        ("a.txt", "keys\tkind\tlabel\ndog,bark\tevent\tbig dog\nrain\tbackground\tdrizzle"),
        ("a.csv", 'label,keys,kind\nbig dog,"dog,bark",event\n"drizzle",rain,background\n'),
        ("a.CSV", 'label , keys, kind\n big dog ,"dog, bark", event\ndrizzle,rain, background\n'),
    ],
)
def test_a_table_of_labels(tmp_path: Path, name: str, text: str) -> None:
    found = read_labels(table(tmp_path, text, name))
    assert found == {("", "big dog"): (("dog", "bark"), "event"), ("", "drizzle"): (("rain",), "background")}


def test_a_label_of_a_source_and_one_of_any(tmp_path: Path) -> None:
    text = "label\tsource\tkeys\nhound\t\tdog\nhound\tfield\tgrowling\n"
    labelling = Labelling.read(labels=table(tmp_path, text))
    assert labelling.meaning("field", "hound") == (("growling",), "event")
    assert labelling.meaning("", "hound") == labelling.meaning("home", "hound") == (("dog",), "event")
    assert labelling.meaning("", "dog") is None
    assert Labelling().meaning("any", "dog") == (("dog",), "event")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column 'label'; the columns, separated by tabs, are source, label, keys, kind."),
        ("label,keys\na,dog\n", "line 1: no column 'label'"),
        ("label\tkey\na\tdog\n", "line 1: no column 'keys'"),
        ("label\tkeys\tkeys\na\tdog\tdog\n", "line 1: a column 'keys', unknown or there twice"),
        ("label\tkeys\tnote\na\tdog\tx\n", "line 1: a column 'note', unknown"),
        ("label\tkeys\na\tdog\nb\tdog\train\n", "line 3: 3 cells instead of 2."),
        ("label\tkeys\na\t,\n", "line 2: the label 'a' has no key"),
        ("label\tkeys\na\tdog\na\train\n", "line 3: the label 'a' appears twice"),
        ("label\tkeys\tkind\na\tdog\tnoise\n", "line 2: 'noise' is no kind"),
        ("label\tkeys\na\tdgo\n", "names a key that the sound table does not have ('dgo'); 'mellow data sounds'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(table(tmp_path, text))
    assert message in str(caught.value)
    assert str(caught.value).endswith(".") and "labels.tsv" in str(caught.value)


def test_keys_without_quotes_in_a_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: 3 cells instead of 2; put keys that commas separate in quotes"):
        read_labels(table(tmp_path, "label,keys\na,dog,bark\n", "labels.csv"))


def test_unknown_keys_are_listed_all_at_once(tmp_path: Path) -> None:
    rows = "".join(f"label {n}\tdog,no_{n:02}\n" for n in range(13))
    with pytest.raises(DataError, match=r"names 13 keys .* \('no_00', 'no_01', .*, 'no_09' and 3 more\)"):
        read_labels(table(tmp_path, f"label\tkeys\n{rows}"))


def test_held_out_keys_skip_comments(tmp_path: Path) -> None:
    assert read_keys(table(tmp_path, "# none yet\ndog  # the best\n\ncat\n")) == {"dog", "cat"}
    with pytest.raises(DataError, match=r"a key .*'dgo'"):
        read_keys(table(tmp_path, "dgo\n"))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Labelling.read(held_out=tmp_path / "absent.txt")
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        Labelling.read(duplicates=tmp_path / "binary.tsv")
