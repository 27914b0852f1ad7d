"""A language model as judge of whether a question needs the recording; which one is the caller's business."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.resources import files

from mellow.data.records import Record

__all__ = ["Judge"]

log = logging.getLogger(__name__)


class Judge:
    """Asks a language model about one record after the other; an answer that is neither yes nor no rejects nothing.

    ask: a prompt in, the model's text out; waiting, retries and what is paid are its own concern.
    """

    name = "answerable without audio, says a judge"

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask
        self._prompt = files("mellow.data.filters").joinpath("judge.txt").read_text(encoding="utf-8")
        self.unclear = 0  # judgements that were neither yes nor no

    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        return [self._reason(record) for record in records]

    def _reason(self, record: Record) -> str | None:
        prompt = self._prompt.replace("{question}", record.question).replace("{answer}", record.answer)
        said = self._ask(prompt).strip()
        first = said.split(maxsplit=1)[0].strip(" .,:;!*\"'").lower() if said else ""
        if first not in ("yes", "no"):
            self.unclear += 1
            log.debug("The judge said %r of record %s.", said[:80], record.id)
            return None
        return "a language model says that it can be answered without listening" if first == "yes" else None
