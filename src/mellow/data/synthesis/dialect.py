"""What a server understands of chat completions, which its first refusals tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from mellow.data.synthesis.parse import json_schema
from mellow.data.synthesis.prompts import Form, Kind

__all__ = ["Dialect"]


@dataclass(frozen=True)
class Dialect:
    """How structured output is asked for, and how the limit of tokens is called.

    schema: `json_schema` as OpenAI, vLLM and llama.cpp's server know it, `json_object` with a schema beside it, as
    llama-cpp-python does, or None: then the plain text form is asked for.
    """

    schema: Literal["json_schema", "json_object"] | None = "json_schema"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # OpenAI's newer models know only the second

    @property
    def form(self) -> Form:
        return "json" if self.schema else "text"

    def options(self, kind: Kind, max_tokens: int) -> dict[str, Any]:
        """Of the request, beside model, messages and sampling."""
        options: dict[str, Any] = {self.limit: max_tokens}
        schema = json_schema(kind)
        if self.schema == "json_schema":
            named = {"name": "pairs", "strict": True, "schema": schema}
            options["response_format"] = {"type": "json_schema", "json_schema": named}
        elif self.schema == "json_object":
            options["response_format"] = {"type": "json_object", "schema": schema}
        return options

    def simpler(self, status: int, message: str) -> Dialect | None:
        """What to try after a request was refused, or None where it was not refused for how it was put."""
        if self.limit == "max_tokens" and "max_completion_tokens" in message:
            return replace(self, limit="max_completion_tokens")
        if status not in (400, 422) and "response_format" not in message:  # llama-cpp-python answers 500 to it
            return None
        if self.schema == "json_schema":
            return replace(self, schema="json_object")
        return replace(self, schema=None) if self.schema else None
