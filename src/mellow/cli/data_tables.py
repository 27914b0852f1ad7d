"""Parts of a report as tables on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mellow.cli.console import printable

if TYPE_CHECKING:
    from mellow.data.section import Section

__all__ = ["print_sections"]

PIPE_WIDTH = 160  # characters of a line where no terminal tells its own


def print_sections(sections: Sequence[Section]) -> None:
    """Print each part with its title, table, note and examples; texts of the data are shown as they are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mellow.data.section import columns_of

    width = None if sys.stdout.isatty() else shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    console = Console(width=width, highlight=False)
    for section in sections:
        table = Table(title=Text(section.title), title_justify="left", caption_justify="left")
        table.caption = Text(section.note) if section.note else None
        table.add_column("")
        columns = columns_of(section)
        for column in columns:
            is_text = any(isinstance(row.get(column), str) for row in section.rows.values())
            table.add_column(Text(printable(column)), justify="left" if is_text else "right")
        for row in section.rows:
            table.add_row(*(Text(printable(text)) for text in [row, *(section.cell(row, c) for c in columns)]))
        if section.rows:
            console.print(table)
        for example in section.examples:
            console.print(Text(f"- {printable(example)}"), soft_wrap=True)
        console.print()
