"""Type 4: the union of Types 1 to 3, as we read it; the paper does not define it (appendix F.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from mellow.data.records import Record

__all__ = ["union"]


def union(*types: Iterable[Record]) -> Iterator[Record]:
    """The records of several types without repeated (clip, question), the first of which stays; in order, one by one.

    Options are part of a question, as the paper counts; neither case nor spaces make two questions differ. A record
    without a clip's file name goes by its captions.
    """
    seen: set[bytes] = set()
    for records in types:
        for record in records:
            question = " ".join(record.question.casefold().split())
            content = "\n".join((*(record.audio or record.captions), question))
            digest = hashlib.sha256(content.encode()).digest()[:12]
            if digest not in seen:
                seen.add(digest)
                yield record
