"""Figures of the published tables that were computed elsewhere: an audit has to find them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from mellow.data.audit import audit, to_json
from mellow.data.audit_input import read_any
from mellow.data.gate import gate
from mellow.errors import DataError

TASKS = ("sound", "music", "speech")  # of MMAU


@pytest.fixture(scope="module")
def of(shared: Callable[[str], Path]) -> Callable[[str], dict[str, Any]]:
    """The rows of all sections of the audit of a part of `shared/text`."""

    def audited(name: str) -> dict[str, Any]:
        path = shared(f"text/{name}")
        return {key: part["rows"] for key, part in to_json(audit(lambda: read_any(path))).items()}

    return audited


@pytest.fixture(scope="module")
def difference(of: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return of("difference")


def test_entailment_is_answered_by_its_text(of: Callable[[str], dict[str, Any]], shared: Callable[[str], Path]) -> None:
    """Fitted on the hypotheses of CLE's development split: CLE 91.4, ACE 93.2 (data-formats.md, trap 1)."""
    found = of("entailment")
    assert found["text_only"]["CLE"]["text only"] == pytest.approx(0.914, abs=0.005)
    assert found["text_only"]["ACE"]["text only"] == pytest.approx(0.932, abs=0.005)
    assert found["text_only"]["CLE"]["gate"] == "refused unless allowed"
    assert (found["overview"]["CLE"]["train"], found["overview"]["CLE"]["val"]) == (3 * 3839, 3 * 1045)
    assert found["overview"]["ACE"]["rows"] == 3 * 4875
    assert found["names"]["train and test"]["in both"] == 1
    rows = list(read_any(shared("text/entailment")))
    with pytest.raises(DataError, match="allow the family 'entailment' by name"):
        gate(rows)
    assert {one.name for one in gate(rows, allow=["entailment"])} == {"CLE", "ACE"}


def test_pairs_of_acd_and_cld(difference: dict[str, Any]) -> None:
    rows = {tier: values["rows"] for tier, values in difference["tiers"].items()}
    assert rows == {
        "ACD-1, test": 4680,
        "ACD-1, val": 2456,
        "ACD-2, test": 4680,
        "ACD-2, val": 2456,
        "ACD-3, val": 2456,
        "CLD-1, val": 5225,
        "CLD-2, val": 5225,
    }


def test_answers_that_name_hertz(difference: dict[str, Any]) -> None:
    assert difference["numbers"]["ACD-3"]["rows"] == 2456
    assert difference["numbers"]["ACD-3"]["Hz"] == 485


def test_function_words_of_the_tiers(difference: dict[str, Any]) -> None:
    """0.28, 0.35 and 0.37 by a list of some 60 words (paper-checklist.md, A2)."""
    for tier, expected in (("ACD-1, val", 0.28), ("ACD-2, val", 0.35), ("ACD-3, val", 0.37)):
        assert difference["tiers"][tier]["function words"] == pytest.approx(expected, abs=0.0125)


def test_annotators_of_clothoaqa_disagree(of: Callable[[str], dict[str, Any]]) -> None:
    """The first rows of the validation table: 14 yes-no questions, of which 6 have both answers."""
    found = of("samples/clotho_aqa_val_head.csv")
    assert found["conflicts"] == {
        "ClothoAQA, val": {"rows": 42, "questions": 14, "conflicting": 0.4286, "ceiling": 0.8571}
    }


def test_first_options_of_mmau(of: Callable[[str], dict[str, Any]], shared: Callable[[str], Path]) -> None:
    """Always the first option: sound 49.2, music 35.0, speech 28.8 (data-formats.md, trap 3)."""
    found = of("mmau/mmau-test-mini.2025-03.json")["places"]
    rows = list(read_any(shared("text/mmau/mmau-test-mini.2025-03.json")))
    first = {task: [row.choices.index(row.answer) == 0 for row in rows if row.subtype == task] for task in TASKS}
    assert [round(100 * sum(first[task]) / len(first[task]), 1) for task in TASKS] == [49.2, 35.0, 28.8]
    assert found["sound, 4 options"]["A"] == pytest.approx(0.49, abs=0.02)
    assert found["sound, 4 options"]["excess"] > 0.2
