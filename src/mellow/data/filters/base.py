"""What a filter is: a failure mode with a name, which gives a reason for a record or has none."""

from __future__ import annotations

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol

from mellow.data.records import Record

__all__ = ["SYNTHETIC", "Counting", "Filter", "Rule", "fit", "pattern", "patterns"]

BORDER = r"(?:(?<!\w)|(?!\w))"  # not within a word
SYNTHETIC = ("mcq", "detail", "other")  # families whose questions somebody or a language model made up


class Filter(Protocol):
    """One failure mode."""

    @property
    def name(self) -> str: ...

    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        """For each record why it fails, or None."""


@dataclass(frozen=True)
class Rule:
    """A filter that looks at one record at a time."""

    name: str
    reason: Callable[[Record], str | None]

    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        return [self.reason(record) for record in records]


class Counting(ABC):
    """A filter that has to see all records before it can judge one."""

    name: str

    @abstractmethod
    def observe(self, record: Record) -> None:
        """See a record; before the first `reasons`, for all records."""

    def finish(self) -> None:  # noqa: B027  # most need none
        """All records have been seen."""

    @abstractmethod
    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        """For each record why it fails, or None."""


def fit(filters: Iterable[Filter], records: Iterable[Record]) -> None:
    """Show all records to the filters that count; without such filters, none is read."""
    counting = [one for one in filters if isinstance(one, Counting)]
    if not counting:
        return
    for record in records:
        for one in counting:
            one.observe(record)
    for one in counting:
        one.finish()


@cache
def patterns(file: str) -> dict[str, re.Pattern[str]]:
    """The lists of a TOML file beside this module, each as one pattern for text in lower case."""
    table = tomllib.loads(files("mellow.data.filters").joinpath(file).read_text(encoding="utf-8"))
    return {name: _joined(expressions) for name, expressions in table.items()}


def _joined(expressions: Sequence[str]) -> re.Pattern[str]:
    return re.compile(f"{BORDER}(?:{'|'.join(expressions)}){BORDER}")


def pattern(name: str) -> re.Pattern[str]:
    """A list of `patterns.toml`."""
    return patterns("patterns.toml")[name]
