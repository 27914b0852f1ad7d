"""How library code says how far it is: it calls a function, and only the command line draws."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

__all__ = ["Progress", "silent", "tracked"]

Item = TypeVar("Item")

Progress = Callable[[str, int, int], object]  # what is done, how much of it, of how much in all


def silent(step: str, done: int, total: int) -> None:
    """The progress callback of whoever wants none."""


def tracked(items: Collection[Item], step: str, progress: Progress) -> Iterator[Item]:
    """The items one by one; progress is called before the first and after each."""
    for done, item in enumerate(items):
        progress(step, done, len(items))
        yield item
    if items:
        progress(step, len(items), len(items))
