"""A run: workers ask about one caption after another, and every answer is on disk before the next question."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

from mellow.data.synthesis.parse import PAIRS, RejectedError, parse_pairs
from mellow.data.synthesis.request import Request
from mellow.data.synthesis.store import Store
from mellow.progress import Progress, silent

__all__ = [
    "Ask",
    "Completion",
    "StoppedError",
    "Summary",
    "duration",
    "pace",
    "record_output",
    "synthesize",
    "unsettled",
]

log = logging.getLogger(__name__)
Ask = Callable[[Request, int], "Completion"]  # (request, number of the attempt) -> output


class StoppedError(Exception):
    """A worker's wait was ended because the run ends."""


@dataclass(frozen=True)
class Completion:
    """What a language model wrote.

    is_cut: whether it ended at the limit of tokens; error: why there is no text, where a server refused this request
    alone; revision: what the server tells of the model's version.
    """

    text: str
    is_cut: bool = False
    error: str = ""
    revision: str = "unknown"
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Summary:
    """What a run did.

    earlier: captions that earlier runs had settled; accepted: captions with five pairs; given_up: captions whose
    attempts are used up; rejected: outputs by reason; is_over_budget: whether the run ended because it had asked as
    often as it may.
    """

    earlier: int = 0
    accepted: int = 0
    given_up: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)
    is_over_budget: bool = False

    @property
    def pairs(self) -> int:
        return self.accepted * PAIRS


def unsettled(requests: Iterable[Request], store: Store, *, attempts: int, summary: Summary) -> list[Request]:
    """The requests that earlier runs have neither answered nor given up; the others are counted."""
    waiting = []
    for request in requests:
        if request.key in store.done or store.attempts[request.key] >= attempts:
            summary.earlier += 1
        else:
            waiting.append(request)
    return waiting


def record_output(
    request: Request, completion: Completion, store: Store, summary: Summary, *, attempt: int, is_last: bool
) -> bool:
    """Write an output as five pairs, or as rejected with its reason; and count it. Whether the caption is settled."""
    summary.prompt_tokens += completion.prompt_tokens
    summary.completion_tokens += completion.completion_tokens
    try:
        if completion.error:
            raise RejectedError("refused by the server", completion.error)
        pairs = parse_pairs(completion.text, request.setup.prompt.kind, is_cut=completion.is_cut)
    except RejectedError as error:
        store.reject(request, error, completion.text, attempt=attempt)
        summary.rejected[error.reason] += 1
        summary.given_up += is_last
        return is_last
    store.accept(request, request.records(pairs, attempt=attempt, revision=completion.revision))
    summary.accepted += 1
    return True


def synthesize(
    requests: Iterable[Request],
    ask: Ask,
    store: Store,
    *,
    concurrency: int = 8,
    attempts: int = 3,
    max_requests: int | None = None,
    stop: threading.Event | None = None,
    progress: Progress = silent,
) -> Summary:
    """Ask about every caption that is not settled yet, and write what comes of it.

    attempts: outputs of one caption, earlier runs included, after which it is given up. max_requests: of this run.
    stop: set by another thread or a signal's handler, it ends the run when the requests in flight are answered.
    The first error of a worker ends the run likewise, and is raised.
    """
    began = time.monotonic()
    summary = Summary()
    waiting = unsettled(requests, store, attempts=attempts, summary=summary)
    run = Run(waiting, ask, store, summary, attempts, max_requests, stop or threading.Event())
    step = "Writing pairs"
    progress(step, 0, len(waiting))
    for done in run.outcomes(concurrency):
        progress(f"{step}: {pace(done, len(waiting), time.monotonic() - began)}", done, len(waiting))
    summary.seconds = time.monotonic() - began
    return summary


def pace(done: int, total: int, seconds: float) -> str:
    """Rate and time left, for people."""
    rate = done / max(seconds, 1e-9)
    return f"{60 * rate:.3g} captions a minute, {duration((total - done) / max(rate, 1e-9))} left"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class Run:
    """The workers of a run and what they share."""

    def __init__(
        self,
        waiting: list[Request],
        ask: Ask,
        store: Store,
        summary: Summary,
        attempts: int,
        max_requests: int | None,
        stop: threading.Event,
    ) -> None:
        self.waiting: Iterator[Request] = iter(waiting)
        self.ask, self.store, self.summary = ask, store, summary
        self.attempts, self.max_requests, self.stop = attempts, max_requests, stop
        self.mutex = threading.Lock()
        self.finished: SimpleQueue[bool | BaseException | None] = SimpleQueue()

    def outcomes(self, concurrency: int) -> Iterator[int]:
        """How many captions are settled, each time one more is; the first error of a worker is raised at the end.

        An interrupt while workers are busy waits for what they have asked; a second one does not.
        """
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(concurrency)]
        for worker in workers:
            worker.start()
        error: BaseException | None = None
        done, running = 0, concurrency
        while running:
            try:
                outcome = self.finished.get()
            except KeyboardInterrupt as interrupt:
                if error is not None:
                    raise
                log.info("Waiting for pending answers; press Ctrl-C again to quit without them.")
                self.stop.set()
                error = interrupt
                continue
            if isinstance(outcome, BaseException):
                error = error or outcome
            elif outcome is None:
                running -= 1
            else:
                done += 1
                yield done
        if error is not None:
            raise error

    def _work(self) -> None:
        try:
            while (request := self._next()) is not None:
                if self._settle(request):
                    self.finished.put(True)
        except StoppedError:
            pass
        except BaseException as error:
            self.stop.set()
            self.finished.put(error)
        finally:
            self.finished.put(None)

    def _next(self) -> Request | None:
        with self.mutex:
            return None if self.stop.is_set() else next(self.waiting, None)

    def _settle(self, request: Request) -> bool:
        """Ask until five pairs have come or the attempts are used up; False where the run ends before."""
        for attempt in range(self.store.attempts[request.key] + 1, self.attempts + 1):
            if not self._may_ask():
                return False
            completion = self.ask(request, attempt)
            with self.mutex:
                is_last = attempt == self.attempts
                if record_output(request, completion, self.store, self.summary, attempt=attempt, is_last=is_last):
                    return True
        return False

    def _may_ask(self) -> bool:
        with self.mutex:
            if self.max_requests is not None and self.summary.requests >= self.max_requests:
                self.summary.is_over_budget = True
                self.stop.set()
            if self.stop.is_set():
                return False
            self.summary.requests += 1
            return True
