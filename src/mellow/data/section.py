"""A part of a report: rows of numbers under a title, as JSON, as Markdown, or beside that of another data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Section", "Value", "beside", "columns_of", "markdown", "shown"]

Value = int | float | str
MARKDOWN_MARKS = str.maketrans({"|": "\\|", "\n": " "})


@dataclass(frozen=True)
class Section:
    """Numbers of a data set.

    key: its name in JSON.
    rows: name of a row -> column -> value.
    shares: columns that hold shares from 0 to 1, shown as percentages.
    note: what a reader needs to know of how they were counted.
    examples: a few texts to look at.
    """

    key: str
    title: str
    rows: Mapping[str, Mapping[str, Value]]
    shares: frozenset[str] = frozenset()
    note: str = ""
    examples: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"title": self.title, "rows": {name: dict(row) for name, row in self.rows.items()}}
        return made | {name: value for name in ("note", "examples") if (value := getattr(self, name))}

    def cell(self, row: str, column: str) -> str:
        """A value as a reader sees it, or ''."""
        value = self.rows.get(row, {}).get(column)
        return "" if value is None else shown(value, share=column in self.shares)


def shown(value: Value, *, share: bool = False) -> str:
    """Shares as percentages, whole numbers with commas, others with two decimals."""
    if isinstance(value, str):
        return value
    if share:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def columns_of(section: Section) -> list[str]:
    """All columns, in the order in which they first occur."""
    return list(dict.fromkeys(column for row in section.rows.values() for column in row))


def beside(sections: Sequence[Section], names: Sequence[str]) -> Section:
    """The same part of several data sets as one: a column for each of them, or, of several columns, a row for each."""
    first = next((section for section in sections if section.rows), sections[0])
    is_single = all(len(columns_of(section)) <= 1 for section in sections)
    rows: dict[str, dict[str, Value]] = {}
    for row in dict.fromkeys(name for section in sections for name in section.rows):
        for section, name in zip(sections, names, strict=True):
            values = section.rows.get(row)
            if values is not None and is_single:
                rows.setdefault(row, {})[name] = next(iter(values.values()))
            elif values is not None:
                rows[f"{row} ({name})"] = dict(values)
    shares = frozenset(names) if is_single and first.shares else frozenset().union(*(s.shares for s in sections))
    examples = tuple(
        f"{name}: {example}" for section, name in zip(sections, names, strict=True) for example in section.examples
    )
    note = next((section.note for section in sections if section.note), "")
    return Section(first.key, first.title, rows, shares, note, examples)


def markdown(section: Section, *, level: int = 2) -> str:
    """A heading, the note, a table and the examples."""
    lines = [f"{'#' * level} {section.title}", ""]
    if section.note:
        lines += [section.note, ""]
    columns = columns_of(section)
    if section.rows:
        lines += [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
        for row in section.rows:
            cells = [row, *(section.cell(row, column) for column in columns)]
            lines.append(f"| {' | '.join(cell.translate(MARKDOWN_MARKS) for cell in cells)} |")
        lines.append("")
    lines += [f"- {example.translate(MARKDOWN_MARKS)}" for example in section.examples]
    return "\n".join(lines).rstrip() + "\n"
