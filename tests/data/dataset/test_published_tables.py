"""Table 1 as the paper prints it, and a build from the real tables of `../shared/text`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mellow.data.dataset.build import build_dataset
from mellow.data.dataset.recipe import read_dataset_recipe
from mellow.data.sources.spec import paper_counts

SPLITS = ("train", "val", "test")


def test_the_rows_of_the_papers_table_add_up_to_its_total_and_percentages() -> None:
    counts = dict(paper_counts())
    total = counts.pop("total")
    for split in SPLITS:
        assert sum(count.pairs.get(split, 0) for count in counts.values()) == total.pairs[split]
        for name, count in counts.items():
            if split in count.pairs:
                assert count.percent[split] == pytest.approx(100 * count.pairs[split] / total.pairs[split], abs=0.1), (
                    name
                )
    assert total.clips["train"] == counts["Clotho.json"].clips["train"] + counts["AudioCaps.json"].clips["train"]
    assert total.clips["test"] == counts["Clotho.json"].clips["test"] + counts["AudioCaps.json"].clips["test"]


@pytest.mark.slow
def test_the_real_tables(root: Path, shared: Callable[[str], Path], tmp_path: Path) -> None:
    """Counts, the text-only control and the share of answers that name Hz are those that are known."""
    recipe = read_dataset_recipe(
        root / "recipes/data/reasonaqa.yaml", root=str(shared("text")), output=str(tmp_path / "out")
    )
    report = build_dataset(recipe)
    ours = {(line["row"], line["split"]): line["ours"]["pairs"] for line in report["table1"]}
    assert [ours["CLE", split] for split in SPLITS] == [11517, 3135, 3135]
    assert ours["ACE", "test"] == 14625
    assert (ours["ACD", "val"], ours["ACD", "test"], ours["CLD", "val"]) == (7368, 9360, 10450)
    assert report["splits"]["val"]["defects"]["answers_that_name_hz"]["ACD-3"] == {"rows": 2456, "of_them": 485}
    control = {one["row"]: 100 * one["text_only"] for one in report["text_only_control"]}
    assert control["CLE"] == pytest.approx(91.4, abs=0.5)
    assert control["ACE"] == pytest.approx(93.2, abs=0.5)
    assert len(report["absent_tables"]) == 21
    assert not [line for line in report["table1"] if line["difference"] and not line["reason"]]
