"""Pairs from a cluster: Ray Data feeds vLLM engines with the same prompts, whose outputs the same parser reads.

It needs `ray[llm]` on every node, and this package, since prompts are written out there. The records are written by
the process that started the run: a run that ends, for whatever reason, is resumed by another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import ray
from ray.data import Dataset
from ray.data.llm import build_processor, vLLMEngineProcessorConfig

from mellow.data.synthesis.parse import json_schema
from mellow.data.synthesis.prompts import PromptTemplate
from mellow.data.synthesis.request import Request
from mellow.data.synthesis.run import Completion, Summary, pace, record_output, unsettled
from mellow.data.synthesis.store import Store
from mellow.progress import Progress, silent

__all__ = ["after_engine", "before_engine", "engine_config", "synthesize_on_ray", "vllm_processor"]

MAX_MODEL_LEN = 4096  # tokens of a prompt and its answer
Row = dict[str, Any]
Processor = Callable[[Dataset], Dataset]


def engine_config(
    model: str, *, replicas: int = 1, batch_size: int = 64, engine_kwargs: Mapping[str, Any] | None = None
) -> vLLMEngineProcessorConfig:
    """How vLLM runs on the cluster: so many engines of a model of the Hugging Face Hub or of a directory."""
    return vLLMEngineProcessorConfig(
        model_source=model,
        concurrency=replicas,
        batch_size=batch_size,
        runtime_env={"env_vars": {"VLLM_NO_USAGE_STATS": "1"}},
        should_continue_on_error=True,  # one caption that fails is rejected with its reason
        engine_kwargs={"max_model_len": MAX_MODEL_LEN, "enable_prefix_caching": True, **(engine_kwargs or {})},
    )


def vllm_processor(
    config: vLLMEngineProcessorConfig, prompt: PromptTemplate, *, temperature: float, max_tokens: int
) -> Processor:
    """From rows (index, caption, seed) to rows with what vLLM wrote."""
    before = partial(before_engine, prompt=prompt, temperature=temperature, max_tokens=max_tokens)
    processor: Processor = build_processor(config, before, partial(after_engine, max_tokens=max_tokens))
    return processor


def before_engine(row: Row, *, prompt: PromptTemplate, temperature: float, max_tokens: int) -> Row:
    """What vLLM is asked: the conversation, and sampling that is bound to the JSON schema."""
    sampling = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": row["seed"],
        "structured_outputs": {"json": json_schema(prompt.kind)},
    }
    return {"messages": prompt.messages(row["caption"], "json"), "sampling_params": sampling}


def after_engine(row: Row, *, max_tokens: int) -> Row:
    """What is kept of vLLM's row."""
    return {
        "index": row["index"],
        "text": row["generated_text"],
        "is_cut": row["num_generated_tokens"] >= max_tokens,
        "prompt_tokens": row["num_input_tokens"],
        "completion_tokens": row["num_generated_tokens"],
    }


def synthesize_on_ray(
    requests: Iterable[Request], processor: Processor, store: Store, *, attempts: int = 3, progress: Progress = silent
) -> Summary:
    """As `synthesize`, in rounds: all captions, then those whose output was rejected, while attempts are left."""
    began = time.monotonic()
    summary = Summary()
    waiting = unsettled(requests, store, attempts=attempts, summary=summary)
    total, done = len(waiting), 0
    while waiting:
        numbers = [store.attempts[request.key] + 1 for request in waiting]
        rows = [
            {"index": index, "caption": request.caption.text, "seed": request.server_seed(number)}
            for index, (request, number) in enumerate(zip(waiting, numbers, strict=True))
        ]
        rejected = []
        for output in processor(ray.data.from_items(rows)).iter_rows():
            request, number = waiting[output["index"]], numbers[output["index"]]
            summary.requests += 1
            completion, is_last = _completion(output), number == attempts
            if record_output(request, completion, store, summary, attempt=number, is_last=is_last):
                done += 1
                progress(f"Writing pairs: {pace(done, total, time.monotonic() - began)}", done, total)
            else:
                rejected.append(request)
        waiting = rejected
    summary.seconds = time.monotonic() - began
    return summary


def _completion(output: Row) -> Completion:
    if error := output.get("__inference_error__"):
        return Completion("", error=error)
    return Completion(
        output["text"],
        is_cut=output["is_cut"],
        prompt_tokens=output["prompt_tokens"],
        completion_tokens=output["completion_tokens"],
    )
