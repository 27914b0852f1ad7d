"""`mellow data audit`: what is wrong with a data set, measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mellow.cli.console import Quiet, say, show_logs
from mellow.cli.data_tables import print_sections
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from mellow.data.section import Section

__all__ = ["audit"]


def audit(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH [PATH2]", help="A .jsonl, .json or .csv file, or a directory of them; two to compare."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the audit as JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help="Write audit.json, audit.md and the rejected rows with reasons here."
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Directory of the clips, to compare the recordings of the splits and to measure stated numbers.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Audit a data set: what filters reject, what text alone answers, what its splits share, and how it is worded.

    Reads records of this project, published ReasonAQA and OpenAQA files, the published tables of CLE, ACE, CLD and ACD,
    and any table with questions and answers. With two data sets, the report has them side by side.
    """
    from mellow.data.audit import sections_beside, to_json

    show_logs(quiet=quiet)
    if len(paths) > 2:
        raise typer.BadParameter(f"{len(paths)} data sets were given; one or two can be audited.", param_hint="PATH")
    names = _names(paths)
    audits = [_audit(path, name, audio, out) for path, name in zip(paths, names, strict=True)]
    sections = audits[0] if len(audits) == 1 else sections_beside(audits, names)
    found = {name: to_json(one) for name, one in zip(names, audits, strict=True)}
    if out is not None:
        _write(out, names, sections, found)
    if as_json:
        say(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print_sections(sections)
    if out is not None:
        show_where(out)


def show_where(out: Path) -> None:
    """Tell on stderr where the files are, so that what is printed stays JSON or tables."""
    import logging

    logging.getLogger("mellow").info("Wrote the report and the rejected rows to %s.", out)


def _audit(path: Path, name: str, audio: Path | None, out: Path | None) -> list[Section]:
    from mellow.data.audit import audit
    from mellow.data.audit_input import read_any

    rejected = out / f"rejected-{name.replace('/', '-')}.jsonl" if out else None
    with progress_bar() as progress:
        return audit(lambda: read_any(path), audio=audio, rejected=rejected, progress=progress)


def _names(paths: list[Path]) -> list[str]:
    """Short names for data sets: of their files, or whole paths where these are equal."""
    short = [path.resolve().name.removesuffix(path.suffix) or str(path) for path in paths]
    return short if len(set(short)) == len(short) else [f"{place} {path}" for place, path in enumerate(paths, start=1)]


def _write(out: Path, names: list[str], sections: list[Section], found: Mapping[str, object]) -> None:
    from mellow.data.audit import to_markdown
    from mellow.files import replace_file

    with replace_file(out / "audit.json") as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
    with replace_file(out / "audit.md") as file:
        file.write(to_markdown(f"Audit of {' and '.join(names)}", sections))
