"""All filters together: settings of a recipe, two passes, rejected rows beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from mellow.data.filters.apply import Filtered, FilterSettings, filter_records
from mellow.data.filters.judge import Judge
from mellow.data.records import Record
from mellow.errors import DataError

from .rows import choice_row, open_row

GOOD = open_row("What is the sound event in the clip?", "A gunshot, then an echo.", "Someone fires a gun")
REFUSED = open_row("What is the pitch of the whistle?", "It is unknown.")
NUMBERED = open_row("What is the pitch of the whistle in the clip?", "It is high (around 2-4 kHz).")
STUBBORN = open_row("What is the pitch of the whistle in the clip?", "440 Hz is what the whistle has.")
CLOSED = choice_row("What is heard in the clip?", ("Rain", "Wind", "Hail", "Snow"), 0)
ROWS = [GOOD, REFUSED, NUMBERED, STUBBORN, CLOSED]


def test_rejected_rows_stand_beside_with_their_reason(tmp_path: Path) -> None:
    result = Filtered()
    kept = list(filter_records(lambda: ROWS, rejected=tmp_path / "rejected.jsonl", result=result))
    assert kept[:3] == [GOOD, NUMBERED, STUBBORN]
    (row,) = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert row["filter"] == "refusal" and "unknown" in row["reason"] and row["answer"] == "It is unknown."
    assert (result.kept, result.rejected) == (4, {"refusal": 1})


@pytest.mark.parametrize(
    ("numbers", "answers"),
    [
        ("keep", [NUMBERED.answer, STUBBORN.answer]),
        ("soften", ["It is high."]),
        ("drop", []),
    ],
)
def test_what_becomes_of_numbers(numbers: str, answers: list[str]) -> None:
    settings = FilterSettings.from_mapping({"numbers": numbers})
    result = Filtered()
    kept = [row.answer for row in filter_records(lambda: [NUMBERED, STUBBORN], settings, result=result)]
    assert kept == answers
    assert result.rejected.total() == 2 - len(answers)
    assert result.softened == (numbers == "soften")


def test_filters_can_be_left_out_and_added() -> None:
    kept = list(filter_records(lambda: ROWS, FilterSettings(skip=("refusal", "length"), balance=False)))
    assert kept == ROWS
    judge = Judge(lambda prompt: "yes" if "gunshot" in prompt else "no")
    result = Filtered()
    assert GOOD not in list(filter_records(lambda: ROWS, judges=[judge], result=result))
    assert result.rejected[judge.name] == 1


def test_all_rows_are_read_twice_and_never_held() -> None:
    """A generator is asked for anew; no more than a chunk of it is taken ahead."""
    taken = [0]

    def read() -> Iterator[Record]:
        taken.append(0)
        for number in range(5000):
            taken[-1] += 1
            yield open_row(f"What does sound number {number} do in the clip?", "It rises and falls.")

    first = next(iter(filter_records(read)))
    assert "number 0" in first.question
    assert taken[1:] == [5000, 1000]


def test_the_file_of_rejected_rows_is_whole_or_absent(tmp_path: Path) -> None:
    rows = filter_records(
        lambda: [REFUSED, *(replace(GOOD, question=f"{GOOD.question} {n}?") for n in range(1500))],
        rejected=tmp_path / "rejected.jsonl",
    )
    next(rows)
    rows.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"number": "keep"}, "no filter setting 'number'"),
        ({"numbers": "round"}, "numbers is 'round'; use keep, soften, drop"),
        ({"skip": ["refusals"]}, "no filter 'refusals' to skip"),
        ({"confidence": 0}, "confidence is 0, but it must be from 1e-09 to 1"),
        ({"most_repeated": "much"}, "most_repeated must be a number, not 'much'"),
        ({"least_repeated": 0.5}, "least_repeated must be a whole number, not 0.5"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        FilterSettings.from_mapping(values)
