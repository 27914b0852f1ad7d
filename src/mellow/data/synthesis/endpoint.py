"""Any endpoint that speaks OpenAI's chat completions: hosted, or vLLM, llama.cpp, Ollama and others on a machine.

It needs the extra `synthesis`. The API key is passed to the client and kept out of every message and output.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Self

import openai

from mellow.data.synthesis.backoff import Backoff, retry_after
from mellow.data.synthesis.dialect import Dialect
from mellow.data.synthesis.request import Request
from mellow.data.synthesis.run import Completion, StoppedError
from mellow.errors import EndpointError

__all__ = ["Endpoint"]

NO_KEY = "none"  # for servers that want none; the client insists on a text
RETRIED = (408, 409, 425, 429)  # and 500 and more
EARLY = 4  # faults of a server that has never answered, after which the fault is likely the request
SILENCE = 30.0  # seconds between two notices that the run waits
CLIPPED = 200  # characters of a server's message

log = logging.getLogger(__name__)


class Endpoint:
    """Asks a server one request at a time; may be called by several threads. A context manager.

    url: with its version (`http://127.0.0.1:8000/v1`), or None for OpenAI's. timeout: seconds that a server may take
    for an answer. stop: set by another thread, it ends all waiting. Raises EndpointError for what waiting cannot mend.
    """

    def __init__(
        self,
        url: str | None,
        key: str | None,
        *,
        temperature: float = 0.7,
        max_tokens: int = 1500,
        timeout: float = 300.0,
        backoff: Backoff | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.client = openai.OpenAI(base_url=url, api_key=key or NO_KEY, max_retries=0, timeout=timeout)
        self.name = str(self.client.base_url).rstrip("/")
        self.temperature, self.max_tokens = temperature, max_tokens
        self.backoff = backoff or Backoff()
        self.stop = stop or threading.Event()
        self._key = key
        self._dialect = Dialect()
        self._answered = False
        self._mutex = threading.Lock()
        self._silent_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def __call__(self, request: Request, attempt: int) -> Completion:
        """One output of the language model; failures that pass are waited for."""
        failures, waited = 0, 0.0
        while True:
            try:
                completion = self._ask(request, attempt)
                self._answered = True
                return completion
            except (openai.OpenAIError, ValueError) as error:  # ValueError: a body that is no JSON
                failures += 1
                seconds = self.backoff.wait(failures, self._asked_to_wait(error, request))
                waited += seconds
                is_hopeless = not self._answered and failures >= EARLY and _is_fault(error)
                if waited > self.backoff.patience or is_hopeless:
                    raise EndpointError(
                        f"The endpoint {self.name} gives no answer ({self._what(error)}); run the command again later "
                        "to resume."
                    ) from None
                self._tell(f"The endpoint gives no answer ({self._what(error)}); asking again in {seconds:.0f} s.")
                if self.stop.wait(seconds):
                    raise StoppedError from None

    def _tell(self, notice: str) -> None:
        """Log that a run waits, but not once for every worker."""
        with self._mutex:
            now = time.monotonic()
            if now >= self._silent_until:
                self._silent_until = now + SILENCE
                log.info("%s", notice)

    def _ask(self, request: Request, attempt: int) -> Completion:
        """Send a request as the server understands it, which the first refusals tell."""
        dialect, refusal = self._dialect, ""
        while True:
            try:
                completion = self._send(request, attempt, dialect)
                break
            except openai.APIStatusError as error:
                refusal = self._what(error)
                if simpler := dialect.simpler(error.status_code, str(error)):
                    dialect = simpler
                elif self._answered and error.status_code in (400, 422):  # it is this caption: too long, or forbidden
                    return Completion("", error=refusal)
                else:
                    raise
        if dialect != self._dialect and not self._answered:
            if dialect.schema is None:
                log.info("The endpoint takes no JSON schema (%s), so it is asked for plain text.", refusal)
            self._dialect = dialect
        return completion

    def _send(self, request: Request, attempt: int, dialect: Dialect) -> Completion:
        setup = request.setup
        answer = self.client.chat.completions.create(
            model=setup.model,
            messages=request.messages(dialect.form),  # type: ignore[arg-type]  # a union of typed dicts
            temperature=self.temperature,
            seed=request.server_seed(attempt),
            **dialect.options(setup.prompt.kind, self.max_tokens),
        )
        return self._completion(answer, setup.model)

    def _completion(self, answer: Any, model: str) -> Completion:
        """What counts of an answer; ValueError where a server sends something else with status 200."""
        if not getattr(answer, "choices", None) or answer.choices[0].message is None:
            raise ValueError("no chat completion")
        choice, usage = answer.choices[0], answer.usage
        text = choice.message.content or getattr(choice.message, "refusal", None) or ""
        served = answer.model if isinstance(answer.model, str) and answer.model != model else ""
        return Completion(
            self._safe(text),
            is_cut=choice.finish_reason == "length",
            revision=self._safe(getattr(answer, "system_fingerprint", None) or served or "unknown"),
            prompt_tokens=getattr(usage, "prompt_tokens", None) or 0,
            completion_tokens=getattr(usage, "completion_tokens", None) or 0,
        )

    def _asked_to_wait(self, error: Exception, request: Request) -> float | None:
        """Seconds that the server asks for, or None; EndpointError where waiting does not help."""
        if isinstance(error, (openai.APITimeoutError, ValueError)):
            return None
        if isinstance(error, openai.APIConnectionError):
            if self._answered:
                return None
            raise EndpointError(
                f"The endpoint {self.name} cannot be reached ({self._what(error)}); check the address, and that the "
                "server runs."
            ) from None
        if not isinstance(error, openai.APIStatusError):
            raise EndpointError(f"The endpoint {self.name} cannot be asked ({self._what(error)}).") from None
        status = error.status_code
        if (status in RETRIED or status >= 500) and error.code != "insufficient_quota":
            return retry_after(error.response.headers)
        raise EndpointError(self._refused(error, status, request)) from None

    def _refused(self, error: openai.APIStatusError, status: int, request: Request) -> str:
        if status in (401, 403):
            return f"The endpoint {self.name} refused the API key (status {status}); name the variable with --key-env."
        if status == 404:
            return (
                f"The endpoint {self.name} has no model {request.setup.model!r}, or no chat completions (status 404)."
            )
        return f"The endpoint {self.name} refused the request ({self._what(error)})."

    def _what(self, error: Exception) -> str:
        """An error in a few words, without the key."""
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
        status = f"status {error.status_code}: " if isinstance(error, openai.APIStatusError) else ""
        text = str(cause or error)
        return self._safe(" ".join(f"{status}{text}".split()))[:CLIPPED].rstrip(". ")

    def _safe(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _is_fault(error: Exception) -> bool:
    """A server that is up and fails, rather than one that is busy, loading or slow."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code >= 500 and error.status_code != 503
    return isinstance(error, ValueError)
