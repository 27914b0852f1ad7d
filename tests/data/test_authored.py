"""Authored pairs: complete rows become records whose options favour no place; broken rows are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.authored import COLUMNS, FOCI, caption_hash, read_authored
from mellow.data.sources import READERS
from mellow.errors import DataError

GOOD = "0123456789abcdef\ta.wav\tmcq\tevent\tWhat comes last?\ta bell\ta dog|rain|a siren"


def written(folder: Path, *lines: str) -> Path:
    (folder / "01.tsv").write_text("\n".join(["\t".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return folder


def test_a_pair_becomes_a_record(tmp_path: Path) -> None:
    (record,) = read_authored(written(tmp_path, GOOD))
    assert (record.question, record.answer, record.audio) == ("What comes last?", "a bell", ("a.wav",))
    assert sorted(record.choices) == ["a bell", "a dog", "a siren", "rain"]
    assert record.provenance == {"author": "Mellow", "caption_hash": "0123456789abcdef", "focus": "event"}
    assert list(read_authored(tmp_path)) == [record]


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("mcq", "quiz"),
        GOOD.replace("event", "colour"),
        GOOD.replace("|a siren", ""),
        GOOD.replace("a siren", "a Bell"),
        GOOD.replace("mcq", "detail"),
        GOOD.replace("a.wav", ""),
        "only one column",
    ],
)
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"01\.tsv, line 3: .*\.$"):
        list(read_authored(written(tmp_path, GOOD, line)))


def test_other_columns_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.tsv files"):
        list(read_authored(tmp_path))
    (tmp_path / "x.tsv").write_text("a\tb\n")
    with pytest.raises(DataError, match="has the columns"):
        list(read_authored(tmp_path))


def test_our_pairs_are_whole_and_favour_no_letter_and_no_focus(root: Path) -> None:
    records = list(read_authored(root / "recipes" / "data" / "authored"))
    assert len({record.id for record in records}) == len(records) >= 2400
    places = Counter(record.choices.index(record.answer) for record in records if record.choices)
    assert min(places.values()) > 0.22 * sum(places.values())
    foci = Counter(record.provenance["focus"] for record in records)
    assert set(foci) == set(FOCI)
    assert min(foci.values()) > 0.1 * len(records)


def test_every_pair_is_about_a_caption_of_the_table(root: Path, shared: Callable[[str], Path]) -> None:
    table = shared("text/entailment/clotho_entailment_development.csv")
    captions: dict[str, str] = {}
    for record in READERS["entailment"](table):
        captions |= {caption_hash(caption.strip()): record.audio[0].rpartition("/")[2] for caption in record.captions}
    for record in read_authored(root / "recipes" / "data" / "authored"):
        assert str(record.provenance["caption_hash"]) in captions, record.audio
