"""The same prompts, parser and files on Ray. vLLM needs a GPU: its place is taken by a function, its config is real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'ray[llm]'")
pytest.importorskip("ray.data.llm", reason="needs Ray's LLM parts: pip install 'ray[llm]'", exc_type=ImportError)

from mellow.data.synthesis.on_ray import after_engine, before_engine, engine_config, synthesize_on_ray, vllm_processor
from mellow.data.synthesis.prompts import prompt_template
from mellow.data.synthesis.store import Store, rejected_path

from .conftest import lines, requests_about, setup_of


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_the_config_of_the_engines() -> None:
    config = engine_config("meta-llama/Meta-Llama-3-8B-Instruct", replicas=3, engine_kwargs={"max_model_len": 2048})
    assert (config.model_source, config.concurrency) == ("meta-llama/Meta-Llama-3-8B-Instruct", 3)
    assert config.should_continue_on_error
    assert config.runtime_env == {"env_vars": {"VLLM_NO_USAGE_STATS": "1"}}, "on every node, not only here"
    assert config.engine_kwargs["max_model_len"] == 2048
    assert config.engine_kwargs["enable_prefix_caching"] is True


def test_what_the_engine_is_asked() -> None:
    prompt = prompt_template("expert", "mcq")
    asked = before_engine({"caption": "Rain", "seed": 7}, prompt=prompt, temperature=0.7, max_tokens=99)
    assert asked["messages"] == prompt.messages("Rain", "json")
    sampling = asked["sampling_params"]
    assert (sampling["seed"], sampling["temperature"], sampling["max_tokens"]) == (7, 0.7, 99)
    assert sampling["structured_outputs"]["json"]["required"] == ["pairs"]


def test_the_processor_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ray's own builder, which can do without the model's config where there is no hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    prompt = prompt_template("general", "detail")
    processor = vllm_processor(engine_config("no/such-model"), prompt, temperature=0.7, max_tokens=99)
    assert "vLLMEngineStage" in processor.list_stage_names()  # type: ignore[attr-defined]


def stand_in(bad: str, failed: str) -> Any:
    """Dataset to dataset as the processor does it, with a function for vLLM, which runs on the cluster."""
    prompt = prompt_template("general", "detail")

    def engine(row: dict[str, Any]) -> dict[str, Any]:
        asked = before_engine(row, prompt=prompt, temperature=0.7, max_tokens=50)
        caption = asked["messages"][-1]["content"].partition(": ")[2]
        if caption == failed:
            return {"index": row["index"], "__inference_error__": "too long", "text": "", "is_cut": False,
                    "prompt_tokens": 0, "completion_tokens": 0}  # fmt: skip
        made = [{"question": f"What of {caption} is {n}?", "answer": f"It is {row['seed']}."} for n in range(5)]
        text = "I'm sorry." if caption == bad else json.dumps({"pairs": made})
        output = {**row, "generated_text": text, "num_generated_tokens": 20, "num_input_tokens": 300}
        return {**after_engine(output, max_tokens=50), "__inference_error__": ""}

    return lambda dataset: dataset.map(engine)


@pytest.mark.slow
def test_a_run_on_a_cluster(tmp_path: Path) -> None:
    out, requests = tmp_path / "out.jsonl", requests_about(12, setup_of("detail"))
    processor = stand_in(bad="Sound number 3", failed="Sound number 5")
    told: list[int] = []
    with Store(out) as store:
        summary = synthesize_on_ray(
            requests, processor, store, attempts=2, progress=lambda _, done, total: told.append(done)
        )
    assert (summary.accepted, summary.given_up, summary.requests) == (10, 2, 14)
    assert summary.rejected == {"refusal": 2, "refused by the server": 2}
    assert told == list(range(1, 13))
    assert len(lines(out)) == 50
    assert len(lines(rejected_path(out))) == 4
    with Store(out) as store:
        summary = synthesize_on_ray(requests_about(13, setup_of("detail")), processor, store, attempts=2)
    assert (summary.earlier, summary.accepted, summary.requests) == (12, 1, 1)


def test_an_output_at_the_limit_is_cut() -> None:
    row = {"index": 1, "generated_text": "{", "num_generated_tokens": 50, "num_input_tokens": 9}
    assert after_engine(row, max_tokens=50)["is_cut"]
    assert not after_engine(row, max_tokens=51)["is_cut"]
