"""The progress callback that library code takes; only the command line draws bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

__all__ = ["Progress", "silent", "tracked"]

Item = TypeVar("Item")

Progress = Callable[[str, int, int], object]  # step, done, total


def silent(step: str, done: int, total: int) -> None:
    """The progress callback that does nothing."""


def tracked(items: Collection[Item], step: str, progress: Progress) -> Iterator[Item]:
    """The items one by one; progress is called before the first and after each."""
    for done, item in enumerate(items):
        progress(step, done, len(items))
        yield item
    if items:
        progress(step, len(items), len(items))
