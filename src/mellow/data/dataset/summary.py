"""What is known of a build, as plain values: Table 1 of the paper beside ours, every difference with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mellow.data.dataset.counts import SplitCounts
from mellow.data.dataset.inputs import Input
from mellow.data.dataset.recipe import DatasetRecipe
from mellow.data.filters.apply import Filtered
from mellow.data.gate import Controlled
from mellow.data.records import Split
from mellow.data.sources.published import subtype_task
from mellow.data.sources.spec import paper_counts, paper_hours, split_of

__all__ = ["summary"]

TYPE_NAMES = {"binary": "binary", "mcq": "multiple choice", "entailment": "multiple choice"}
SPLIT_ORDER: tuple[Split, ...] = ("train", "val", "test")
# Which source gives a row of Table 1, and how the names of its tables begin.
TABLES_OF = {"Clotho": "clotho/clotho", "AudioCaps": "audiocaps/", "ClothoAQA": "clotho_aqa/clotho"}
TABLES_OF |= {"CLE": "entailment/clotho", "ACE": "entailment/audiocaps"}
TABLES_OF |= {"CLD": "difference/cld", "ACD": "difference/acd"}
LeftOutCounts = Mapping[tuple[Split, str], Counter[str]]


def summary(
    recipe: DatasetRecipe,
    *,
    tables: Sequence[Input],
    absent_tables: Sequence[str],
    counts: Sequence[SplitCounts],
    seconds: Mapping[str, float],
    left_out: LeftOutCounts,
    crossing: Mapping[str, Any],
    filtered: Mapping[Split, Filtered | None],
    control: Sequence[Controlled],
) -> dict[str, Any]:
    """All that is known of a build, as plain values for JSON."""
    splits = {made.split: made.to_dict(seconds) for made in counts if made.pairs}
    settings = recipe.filter_settings
    return {
        "title": recipe.title,
        "recipe": recipe.model_dump(mode="json"),
        "tables": [
            {"file": one.path.as_posix(), "source": one.recipe.source, **one.report.to_dict()} for one in tables
        ],
        "absent_tables": list(absent_tables),
        "splits": splits,
        "table1": list(_table1(recipe, splits, left_out, absent_tables)),
        "left_out": [
            {"split": split, "row": row, "reason": reason, "rows": count}
            for (split, row), reasons in sorted(left_out.items())
            for reason, count in sorted(reasons.items())
        ],
        "crossing": dict(crossing),
        "filters": [one.name for one in settings.filters()] if settings else [],
        "filtered": {
            split: {"kept": one.kept, "softened": one.softened, "moved": one.moved, "rejected": dict(one.rejected)}
            for split, one in filtered.items()
            if one is not None
        },
        "text_only_control": [
            {
                "row": one.name.removesuffix(".json"),
                "fitted_on": one.trained,
                "test_rows": one.row.rows,
                "chance": one.row.chance,
                "most_frequent": one.frequent,
                "text_only": one.row.accuracy,
            }
            for one in control
        ],
        "paper_hours": paper_hours(),
    }


def _table1(
    recipe: DatasetRecipe,
    splits: Mapping[Split, Mapping[str, Any]],
    left_out: LeftOutCounts,
    absent_tables: Sequence[str],
) -> Iterable[dict[str, Any]]:
    """A line for each row and split that the paper or we have; the totals last."""
    paper = {name.removesuffix(".json"): count for name, count in paper_counts().items() if name != "total"}
    ours = [name for split in splits.values() for name in split["rows"]]
    for name in dict.fromkeys([*paper, *ours]):
        for split in SPLIT_ORDER:
            theirs = paper.get(name)
            row = splits.get(split, {}).get("rows", {}).get(name, {})
            pairs = theirs.pairs.get(split) if theirs else None
            if pairs is None and not row:
                continue
            got = row.get("pairs", 0)
            lost = list(_lost(name, split, left_out.get((split, name), Counter()), absent_tables))
            reason = _reason(name, recipe.reasons.get(name, {}).get(split, ""), pairs, got, lost)
            yield {
                "row": name,
                "type": TYPE_NAMES.get(row.get("task") or subtype_task(_file(name)), "descriptive"),
                "split": split,
                "paper": _paper(theirs, split) if theirs else None,
                "ours": {"pairs": got, "clips": row.get("clips", 0), "percent": row.get("percent", 0.0)},
                "difference": got - pairs if pairs is not None else None,
                "reason": reason,
            }
    for split in SPLIT_ORDER:
        total, made = paper_counts()["total"], splits.get(split, {})
        mine = {"pairs": made.get("pairs", 0), "clips": made.get("clips", 0), "percent": 100.0 if made else 0.0}
        yield {
            "row": "Total", "type": "all", "split": split, "paper": {**_paper(total, split), "percent": 100.0},
            "ours": mine, "difference": mine["pairs"] - total.pairs[split], "reason": "the sum of the rows above",
        }  # fmt: skip


def _file(name: str) -> str:
    return f"{name}-1.json" if name in ("CLD", "ACD") else f"{name}.json"


def _paper(count: Any, split: Split) -> dict[str, Any]:
    return {"pairs": count.pairs.get(split), "clips": count.clips.get(split), "percent": count.percent.get(split)}


def _lost(name: str, split: Split, left_out: Counter[str], absent_tables: Sequence[str]) -> Iterable[str]:
    """What this build lacks of a row: tables that are not here, and records that were left out."""
    prefix = TABLES_OF.get(name)
    absent = [table for table in absent_tables if prefix and table.startswith(prefix) and split_of(table) == split]
    if absent:
        names = ", ".join(table.rpartition("/")[2] for table in absent)
        yield f"not here: {names}"
    for reason, count in left_out.most_common():
        yield f"{count} left out ({reason})"


def _reason(name: str, told: str, pairs: int | None, got: int, lost: Sequence[str]) -> str:
    """Why a count is not the paper's; told: what the recipe says."""
    if pairs == got:
        return ""
    if pairs is None:
        return told or "not in the paper"
    known = next((one.reason for key, one in paper_counts().items() if key.removesuffix(".json") == name), "")
    reasons = [told] if told and got else [f"paper: {known}"] if known and got else []
    reasons += lost
    if not got and not lost:
        reasons.append("no source in this build gives it")
    return "; ".join(reasons) or "unexplained"
