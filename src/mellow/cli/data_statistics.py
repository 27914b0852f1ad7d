"""`mellow data statistics`: pairs, words and vocabulary, as the paper's appendix counts them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mellow.cli.console import Quiet, say, show_logs
from mellow.cli.data_tables import print_sections

if TYPE_CHECKING:
    from mellow.data.section import Section
    from mellow.data.statistics import Statistics

__all__ = ["statistics"]


def statistics(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", help="Data sets; each is a type of its own where its rows do not tell theirs."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Write statistics.json, statistics.md and pictures here."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Count pairs, words and vocabulary by type, kind and source, and the words that set types apart.

    Counts words twice: as in Tables 9 and 15 of the paper (without stop words, options as part of the question), and
    plainly. The pictures (Fig. 6 and 9) need the extra `eval`.
    """
    from mellow.data.audit_input import read_any
    from mellow.data.statistics import Statistics

    show_logs(quiet=quiet)
    counted = Statistics()
    for path in paths:
        for record in read_any(path):
            counted.observe(record, path.stem if len(paths) > 1 else "")
    sections = counted.sections()
    found = {section.key: section.to_json() for section in sections}
    if out is not None:
        _write(out, counted, sections, found)
    if as_json:
        say(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print_sections(sections)


def _write(out: Path, counted: Statistics, sections: list[Section], found: Mapping[str, object]) -> None:
    import logging

    from mellow.data.section import markdown
    from mellow.data.statistics_plots import write_pictures
    from mellow.files import replace_file

    pictures = write_pictures(counted, out)
    with replace_file(out / "statistics.json") as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
    with replace_file(out / "statistics.md") as file:
        file.write("# Statistics\n\n" + "\n".join(map(markdown, sections)))
        file.writelines(f"\n![{picture.stem}]({picture.name})\n" for picture in pictures)
    logging.getLogger("mellow").info("Wrote statistics.json, statistics.md and %d pictures to %s.", len(pictures), out)
