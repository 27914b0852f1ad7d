"""What a run will cost, before it is started: requests, tokens, time and money."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from mellow.data.synthesis.parse import PAIRS
from mellow.data.synthesis.prompts import Kind
from mellow.data.synthesis.request import Request

__all__ = ["Estimate", "estimate"]

# As JSON, in the bundled model's tokens: the means of the paper's 20 and 20 examples (Tables 10, 11, 16 and 17).
TOKENS_PER_PAIR: dict[Kind, int] = {"mcq": 58, "detail": 74}
TOKENS_PER_MESSAGE = 4  # role and marks of a chat template


@dataclass(frozen=True)
class Estimate:
    """Requests, and tokens that they send and get, if every first output is accepted."""

    requests: int
    prompt_tokens: int
    completion_tokens: int

    def seconds(self, tokens_per_second: float) -> float:
        """Time at a rate of written tokens, of all requests in flight together."""
        return self.completion_tokens / tokens_per_second

    def cost(self, price_in: float, price_out: float) -> float:
        """Money at prices for a million tokens sent and written."""
        return (self.prompt_tokens * price_in + self.completion_tokens * price_out) / 1e6


def estimate(requests: Collection[Request], count_tokens: Callable[[str], int]) -> Estimate:
    """Count what requests would send, and guess what comes back from how long the paper's pairs are."""
    sent = 0
    tasks: dict[str, int] = {}  # the same for all captions
    for request in requests:
        for message in request.messages("json"):
            text = message["content"]
            if message["role"] == "system":
                tasks[text] = tasks.get(text) or count_tokens(text)
            sent += TOKENS_PER_MESSAGE + (tasks.get(text) or count_tokens(text))
    written = sum(PAIRS * TOKENS_PER_PAIR[request.setup.prompt.kind] for request in requests)
    return Estimate(len(requests), sent, written)
