"""What a question with a special input says when it is used: one of many paraphrases, another in each epoch.

The published rows hold short inputs (`caption first audio`, `explain the difference in detail`) that training replaces
by a random paraphrase, so that a model learns the task and not its wording.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from math import gcd

from mellow.errors import DataError

__all__ = [
    "CAPTION", "CAPTION_BOTH", "CAPTION_FIRST", "CAPTION_SECOND", "load_paraphrases", "paraphrase", "paraphrases",
]  # fmt: skip

CAPTION, CAPTION_FIRST = "caption the audio", "caption first audio"
CAPTION_SECOND, CAPTION_BOTH = "caption second audio", "caption both audios"
FILE = "paraphrases.toml"
FEWEST = 60


@cache
def paraphrases() -> dict[str, tuple[str, ...]]:
    """The paraphrases of every special input."""
    return load_paraphrases(files("mellow.data.captions").joinpath(FILE).read_text(encoding="utf-8"))


def load_paraphrases(text: str) -> dict[str, tuple[str, ...]]:
    """Read a table of paraphrases; DataError for too few, one that stands twice, an empty one, or one with a slot."""
    found: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str] = {}
    for special, section in tomllib.loads(text).items():
        texts = tuple(section["paraphrases"])
        if len(texts) < FEWEST:
            raise DataError(f"{FILE}: {special!r} has {len(texts)} paraphrases; write at least {FEWEST}.")
        for one in texts:
            if one != one.strip() or not one or "{" in one:
                raise DataError(f"{FILE}: {one!r} of {special!r} is empty, has blanks at its ends, or a slot.")
            owner = owners.setdefault(_plain(one), special)
            if owner != special or texts.count(one) > 1:
                raise DataError(f"{FILE}: {one!r} of {special!r} stands twice; write another.")
        if len({_plain(one) for one in texts}) < len(texts):
            raise DataError(f"{FILE}: two paraphrases of {special!r} differ in case or full stop only.")
        found[special] = texts
    return found


def paraphrase(text: str, *, seed: int, epoch: int, row: int) -> str:
    """A paraphrase of a special input, and any other text as it is; a function of its arguments alone.

    A row gets all paraphrases of its input in an order of its own, one an epoch, before it gets one again.
    """
    texts = paraphrases().get(text.strip().rstrip(".").lower())
    if texts is None:
        return text
    digest = hashlib.blake2b(f"{seed} {row}".encode(), digest_size=16).digest()
    start, step = int.from_bytes(digest[:8]), int.from_bytes(digest[8:]) % len(texts)
    while gcd(step, len(texts)) != 1:
        step += 1
    return texts[(start + epoch * step) % len(texts)]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".?!")
