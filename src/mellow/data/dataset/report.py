"""The report on a build as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["defect_lines", "markdown", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; bars in the texts do not end cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str("" if cell is None else cell).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people."""
    parts = [f"# {report['title']}: report", _splits(report), _audio(report), "## Table 1 of the paper, and ours"]
    parts += [_table(report), _left_out(report), _crossing(report), _checks(report), _tables(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _splits(report: Mapping[str, Any]) -> str:
    header = ("split", "pairs", "clips", "hours by 10 s", "hours in full", "of known length", "equal rows")
    rows = [
        (
            split, made["pairs"], made["clips"], made["hours_by_10_s"],
            made["hours_in_full"] if made["clips_of_known_length"] else "unknown",
            f"{made['clips_of_known_length']} clips", made["defects"]["equal_rows"],
        )
        for split, made in report["splits"].items()
    ]  # fmt: skip
    hours = report["paper_hours"]
    note = (
        f"Hours by 10 s: 10 s for each clip, as the paper's models listen to them. The paper says {hours['said']} h; "
        f"its Table 1 gives {hours['train_clips'] / 360:.1f} h for train and {hours['all_clips'] / 360:.1f} h in all. "
        "Hours in full: of the clips whose length is known."
    )
    return f"{table(header, rows)}\n\n{note}"


def _audio(report: Mapping[str, Any]) -> str:
    recipe = report["recipe"]
    if recipe["audio_root"] is None:
        text = "No folder of clips was named (`audio_root`): no clip was looked for, and all rows are kept."
    else:
        absent = {split: made["clips_absent"] for split, made in report["splits"].items()}
        kept = ", ".join(f"{count} in {split}" for split, count in absent.items())
        text = f"Clips were looked for below `{recipe['audio_root']}`. Absent clips of rows that are kept: {kept}."
    if report["absent_tables"]:
        names = ", ".join(f"`{name}`" for name in report["absent_tables"])
        text += f"\n\nTables that are not here ({len(report['absent_tables'])}): {names}."
    return text


def _table(report: Mapping[str, Any]) -> str:
    header = ("row", "type", "split", "clips (paper)", "clips", "pairs (paper)", "pairs", "% (paper)", "%")
    rows = []
    for line in report["table1"]:
        theirs, ours = line["paper"] or {"clips": "-", "pairs": "-", "percent": "-"}, line["ours"]
        numbers = [(theirs[name], ours[name]) for name in ("clips", "pairs", "percent")]
        rows.append(
            (line["row"], line["type"], line["split"], *(n for pair in numbers for n in pair),
             _signed(line["difference"]), line["reason"])
        )  # fmt: skip
    return table((*header, "difference", "reason"), rows)


def _signed(number: int | None) -> str:
    return "" if number is None else f"{number:+d}" if number else "0"


def _left_out(report: Mapping[str, Any]) -> str:
    rows = [(line["split"], line["row"], line["reason"], line["rows"]) for line in report["left_out"]]
    rows += [
        ("", one["file"].rpartition("/")[2], reason, count)
        for one in report["tables"]
        for reason, count in one["left_out"].items()
        if count
    ]
    text = "## Left out\n\n"
    text += table(("split", "row or table", "reason", "rows"), rows) if rows else "No row was left out."
    chosen = "Rows with a reason but `not chosen` and those that a table's reader left out are in `left_out.jsonl`."
    return f"{text}\n\n{chosen}" if rows else text


def _crossing(report: Mapping[str, Any]) -> str:
    found = report["crossing"]
    lines = ["## Clips in more than one split", ""]
    lines += [f"- by name: {splits}: {count} clips" for splits, count in found["by_name"].items()]
    if not found["by_name"]:
        lines.append("- by name: none")
    if found["by_content"] is None:
        lines.append("- by content: not compared; no clip was read")
    else:
        lines += [f"- by content: {splits}: {count} clips" for splits, count in found["by_content"].items()]
        lines.append(f"- {found['hashed']} clips were read for the comparison by content")
    if found["examples"]:
        lines.append("- for example: " + ", ".join(f"`{name}`" for name in found["examples"]))
    kept = report["recipe"]["crossing"] == "keep"
    lines.append(f"- rows about such clips are {'kept' if kept else 'left out of the split that is less held out'}")
    return "\n".join(lines)


def _checks(report: Mapping[str, Any]) -> str:
    lines = ["## Known defects, measured", ""]
    for split, made in report["splits"].items():
        lines += [f"- {split}: {text}" for text in defect_lines(made["defects"])]
    control = report["text_only_control"]
    text = "\n".join(lines)
    if control:
        header = ("row", "fitted on", "test rows", "chance, %", "most frequent answer, %", "text only, %")
        rows = [
            (one["row"], one["fitted_on"], one["test_rows"],
             *(f"{100 * one[name]:.1f}" for name in ("chance", "most_frequent", "text_only")))
            for one in control
        ]  # fmt: skip
        text += "\n\nAnswered from their text alone, without audio, by a model of text:\n\n" + table(header, rows)
    names = ", ".join(report["filters"]) or "none"
    return f"{text}\n\nFilters: {names}."


def defect_lines(defects: Mapping[str, Any]) -> list[str]:
    """What `Defects` found, a sentence each."""
    lines = [f"{defects['equal_rows']} rows are equal to an earlier one (same clip, question and answer)"]
    if binary := defects.get("binary"):
        lines.append(
            f"binary: {binary['conflicting_questions']} of {binary['questions']} questions have both answers; "
            f"a consistent answerer reaches {binary['ceiling_percent']} % of the rows, "
            f"always yes {binary['always_yes_percent']} %"
        )
    if words := defects.get("words_of_hypotheses"):
        lines.append("words per hypothesis: " + ", ".join(f"{label} {mean}" for label, mean in words.items()))
    lines += [
        f"{name}: {row['of_them']} of {row['rows']} answers name a frequency in Hz"
        for name, row in defects.get("answers_that_name_hz", {}).items()
    ]
    if defects.get("clip_compared_with_itself"):
        lines.append(f"{defects['clip_compared_with_itself']} differences compare a clip with itself")
    return lines


def _tables(report: Mapping[str, Any]) -> str:
    header = ("table", "source", "rows", "used", "clips present", "clips absent", "noted")
    rows = [
        (one["file"], one["source"], one["rows"], one["kept"], one["audio_present"], one["audio_absent"],
         "; ".join(f"{what}: {count}" for what, count in one["noted"].items()))
        for one in report["tables"]
    ]  # fmt: skip
    return "## Tables\n\n" + table(header, rows)
