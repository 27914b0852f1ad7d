"""How long to wait before a request is sent again: longer each time, never in step with others, as the server asks."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["Backoff", "retry_after"]


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter; all in seconds.

    first: the wait after the first failure, which doubles with each; longest: of a single wait, unless the server asks
    for more; patience: of all waits for one request together, after which the run ends.
    """

    first: float = 1.0
    longest: float = 60.0
    patience: float = 600.0

    def wait(self, failures: int, asked: float | None) -> float:
        """Seconds to wait after so many failures (1 or more), of which the server asked for so many."""
        doubled = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        jittered = doubled * random.uniform(0.5, 1.0)
        return jittered if asked is None else asked + jittered * 0.1


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server's headers ask to wait: `Retry-After` as a number or a date, or `retry-after-ms`."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None
