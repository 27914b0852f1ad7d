"""The data card: what the data set is, where it comes from, what is wrong with it, what it is not for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any

from mellow.data.dataset.report import defect_lines, table

__all__ = ["card"]


def card(report: Mapping[str, Any]) -> str:
    """The card of a build as Markdown, from its report."""
    text = files("mellow.data.dataset").joinpath("card.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        title=report["title"],
        overview=_overview(report),
        licences=_licences(report),
        prompts=_prompts(report),
        filters=_filters(report),
        defects=_defects(report),
    )


def _overview(report: Mapping[str, Any]) -> str:
    splits = report["splits"]
    rows = [(split, made["pairs"], made["clips"], made["hours_by_10_s"]) for split, made in splits.items()]
    text = table(("split", "pairs", "clips", "hours by 10 s a clip"), rows)
    if report["absent_tables"]:
        text += (
            f"\n\nThis is not the whole of ReasonAQA: {len(report['absent_tables'])} of the tables that its recipe "
            "names were not there when it was built; the report lists them."
        )
    return text


def _licences(report: Mapping[str, Any]) -> str:
    total: Counter[tuple[str, str]] = Counter()
    for made in report["splits"].values():
        for source, licence, count in made["licences"]:
            total[source, licence] += count
    rows = [(source, licence, count) for (source, licence), count in sorted(total.items())]
    return table(("source of the audio", "licence of the table", "pairs"), rows)


def _prompts(report: Mapping[str, Any]) -> str:
    total: Counter[tuple[str, str]] = Counter()
    for made in report["splits"].values():
        for author, prompt, count in made["prompts"]:
            total[author, prompt] += count
    if not total:
        return "No pair of this build was written by a language model of ours; all come from the published tables."
    rows = [(author, prompt, count) for (author, prompt), count in sorted(total.items())]
    types = Counter[str]()
    for made in report["splits"].values():
        types.update(made["types"])
    text = table(("language model or author", "prompt", "pairs"), rows)
    named = ", ".join(f"{count} of Type {name}" for name, count in sorted(types.items()))
    return f"{text}\n\nTypes (paper, appendix F.6): {named}." if named else text


def _filters(report: Mapping[str, Any]) -> str:
    if not report["filters"]:
        return "None were applied: rows are as their sources give them."
    families = ", ".join(report["recipe"]["filtered_tasks"])
    text = f"Applied to the families {families}: {', '.join(report['filters'])}."
    rejected: Counter[str] = Counter()
    for one in report["filtered"].values():
        rejected.update(one["rejected"])
    if not rejected:
        return f"{text} They rejected no row."
    rows = rejected.most_common()
    return f"{text} Rejected rows are in `left_out.jsonl` with their reason.\n\n{table(('filter', 'rows'), rows)}"


def _defects(report: Mapping[str, Any]) -> str:
    lines = [f"- {split}: {text}" for split, made in report["splits"].items() for text in defect_lines(made["defects"])]
    lines += [f"- in {splits}: {count} clips (by name)" for splits, count in report["crossing"]["by_name"].items()]
    lines += [
        f"- {one['row']}: {100 * one['text_only']:.1f} % of the questions are answered from their text alone "
        f"(chance {100 * one['chance']:.1f} %; fitted on {one['fitted_on']})"
        for one in report["text_only_control"]
    ]
    return "\n".join(lines)
