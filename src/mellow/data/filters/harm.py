"""Harmful content (appendix A.1), by rules: `harmful.toml` lists what is looked for."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from mellow.data.records import Record

__all__ = ["harmful"]


@cache
def _lists() -> dict[str, list[str]]:
    """Kind of harm -> expressions; words come one by one, since those that begin with a letter are looked for fast."""
    table = tomllib.loads(files("mellow.data.filters").joinpath("harmful.toml").read_text(encoding="utf-8"))
    return {kind: [*listed["words"].replace("*", r"\w*").split(), *listed["phrases"]] for kind, listed in table.items()}


def _compiled(expressions: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(expressions)})(?!\w)")


@cache
def _any() -> re.Pattern[str]:
    return _compiled([expression for listed in _lists().values() for expression in listed])


def harmful(record: Record) -> str | None:
    """The question, an option or the answer is harmful; the kind of harm is named, its words are not repeated."""
    text = f"{record.question}\n{record.answer}".lower().replace("’", "'")
    if not _any().search(text):
        return None
    kind = next(kind for kind, listed in _lists().items() if _compiled(listed).search(text))
    return f"harmful: {kind.replace('_', ' ')}"
