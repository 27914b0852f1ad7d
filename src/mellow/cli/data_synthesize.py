"""`mellow data synthesize`: question-answer pairs that a language model writes from captions."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mellow.cli.console import Quiet, finite, say, show_logs
from mellow.cli.progress import progress_bar

if TYPE_CHECKING:
    from mellow.data.synthesis.endpoint import Endpoint
    from mellow.data.synthesis.request import Request, Setup
    from mellow.data.synthesis.run import Summary
    from mellow.data.synthesis.store import Store

__all__ = ["synthesize"]

Options = dict[str, Any]
DEFAULT_KEY = "OPENAI_API_KEY"
OPENAI = "https://api.openai.com/v1"


class KindOption(StrEnum):
    mcq = "mcq"
    detail = "detail"


class PromptOption(StrEnum):
    general = "general"
    expert = "expert"


def synthesize(
    captions: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTIONS",
            exists=True,
            dir_okay=False,
            help="A .jsonl or .csv file with captions (column 'caption', and 'file_name' for the clip).",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", dir_okay=False, help="Records as JSONL; resumed where it exists.")
    ],
    kind: Annotated[KindOption, typer.Option(help="Multiple-choice questions or questions with detailed answers.")],
    prompt: Annotated[PromptOption, typer.Option(help="The general prompt (Type 1) or the expert prompt (Type 2).")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The language model, as the endpoint calls it.")],
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="An OpenAI-compatible API, such as http://127.0.0.1:8000/v1.")
    ] = OPENAI,
    key_env: Annotated[
        str, typer.Option(metavar="NAME", help="The environment variable that holds the API key.")
    ] = DEFAULT_KEY,
    pair_type: Annotated[
        int | None,
        typer.Option("--type", metavar="N", min=1, max=3, help="3 for the expert prompt with a second language model."),
    ] = None,
    prompt_version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Version of the prompt; the newest if not given.")
    ] = None,
    revision: Annotated[
        str, typer.Option(metavar="TEXT", help="Revision of the language model to record, where the server tells none.")
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="Seed of the sampling.")] = 0,
    temperature: Annotated[
        float, typer.Option(metavar="X", min=0, max=2, callback=finite, help="Temperature of the sampling.")
    ] = 0.7,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Most tokens of an output.")] = 1500,
    attempts: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Outputs of a caption before it is given up.")
    ] = 3,
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Requests in flight at a time.")] = 8,
    max_requests: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop after N outputs; run again to resume.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, callback=finite, help="Seconds that the server may take for an answer.")
    ] = 300.0,
    patience: Annotated[
        float, typer.Option(metavar="S", min=0, callback=finite, help="Seconds to retry a failing request in all.")
    ] = 600.0,
    ray: Annotated[
        int | None,
        typer.Option("--ray", metavar="N", min=1, help="Run the model in N vLLM engines on a Ray cluster instead."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print requests, tokens, time and cost; ask nothing.")] = (
        False
    ),
    rate: Annotated[
        float | None,
        typer.Option(metavar="X", min=0.001, callback=finite, help="For --dry-run: tokens a second that are written."),
    ] = None,
    price_in: Annotated[
        float, typer.Option(metavar="X", min=0, callback=finite, help="For --dry-run: price of a million tokens sent.")
    ] = 0.0,
    price_out: Annotated[
        float,
        typer.Option(metavar="X", min=0, callback=finite, help="For --dry-run: price of a million tokens written."),
    ] = 0.0,
    quiet: Quiet = False,
) -> None:
    """Generate question-answer pairs from captions with a language model, five for each caption.

    Every answer is saved before the next request is sent; run the same command again to resume a run that was stopped.
    Outputs without five well-formed pairs are kept, with the reason, beside the records (pairs.rejected.jsonl for
    pairs.jsonl).
    """
    from mellow.data.synthesis.captions import read_captions
    from mellow.data.synthesis.prompts import prompt_template
    from mellow.data.synthesis.request import TYPES, Setup, requests_for
    from mellow.data.synthesis.run import synthesize as run_at_endpoint
    from mellow.data.synthesis.store import Store

    show_logs(quiet=quiet)
    template = prompt_template(prompt.value, kind.value, prompt_version)
    setup = Setup(template, model, pair_type or TYPES[template.style][0], revision, seed)
    requests = list(requests_for(read_captions(captions), setup))
    if dry_run:
        _print_estimate(requests, Store(out), attempts, rate, price_in, price_out)
        return
    sampling = {"temperature": temperature, "max_tokens": max_tokens}
    if ray:
        run = _ray_run(setup, ray, sampling)
    else:
        ask = _endpoint(endpoint, key_env, sampling, timeout=timeout, patience=patience)
        run = partial(run_at_endpoint, ask=ask, concurrency=concurrency, max_requests=max_requests, stop=ask.stop)
    with Store(out) as store, progress_bar() as progress:
        summary = run(requests, store=store, attempts=attempts, progress=progress)
    _print_summary(summary, out)


def _endpoint(url: str, key_env: str, sampling: dict[str, Any], *, timeout: float, patience: float) -> Endpoint:
    from mellow.data.synthesis.backoff import Backoff
    from mellow.data.synthesis.endpoint import Endpoint

    key = os.environ.get(key_env)
    if not key and (url == OPENAI or key_env != DEFAULT_KEY):
        raise typer.BadParameter(f"the environment variable {key_env} holds no API key.", param_hint="--key-env")
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} is no address; it begins with http:// or https://.", param_hint="--endpoint")
    return Endpoint(url, key, **sampling, timeout=timeout, backoff=Backoff(patience=patience))


def _ray_run(setup: Setup, replicas: int, sampling: Options) -> Callable[..., Summary]:
    try:
        from mellow.data.synthesis.on_ray import engine_config, synthesize_on_ray, vllm_processor
    except ModuleNotFoundError as error:
        hint = f"this needs Ray and vLLM ({error.name} is missing); install them with: pip install 'ray[llm]'"
        raise typer.BadParameter(hint, param_hint="--ray") from None

    processor = vllm_processor(engine_config(setup.model, replicas=replicas), setup.prompt, **sampling)
    return partial(synthesize_on_ray, processor=processor)


def _print_estimate(
    requests: list[Request], store: Store, attempts: int, rate: float | None, price_in: float, price_out: float
) -> None:
    from mellow.checkpoints.names import BUNDLED
    from mellow.data.synthesis.estimate import estimate
    from mellow.data.synthesis.run import Summary, duration, unsettled
    from mellow.text.tokenizer import Tokenizer

    store.read()
    summary = Summary()
    tokenizer = Tokenizer.from_file(BUNDLED / "tokenizer.json")
    waiting = unsettled(requests, store, attempts=attempts, summary=summary)
    found = estimate(waiting, lambda text: len(tokenizer.encode(text)))
    say(f"requests        {found.requests:,} ({summary.earlier:,} captions are settled already)")
    say(f"tokens sent     {found.prompt_tokens:,}")
    say(f"tokens written  {found.completion_tokens:,}")
    say(
        "Tokens are estimated with the bundled model's tokenizer, and those written from the length of the paper's "
        f"examples. Rejected outputs, up to {attempts} a caption, are not counted."
    )
    if rate:
        say(f"time            {duration(found.seconds(rate))} at {rate:,g} tokens a second")
    if price_in or price_out:
        cost = found.cost(price_in, price_out)
        say(f"cost            {cost:,.2f} at {price_in:g} and {price_out:g} a million tokens")


def _print_summary(summary: Summary, out: Path) -> None:
    from mellow.data.synthesis.run import duration
    from mellow.data.synthesis.store import rejected_path

    settled = summary.accepted + summary.given_up
    share = f" ({summary.accepted / settled:.1%})" if settled else ""
    say(f"Wrote {summary.pairs:,} pairs of {summary.accepted:,} of {settled:,} captions{share} to {out}.")
    if summary.earlier:
        say(f"Earlier runs had settled {summary.earlier:,} more.")
    say(
        f"{summary.requests:,} outputs, {summary.prompt_tokens:,} tokens sent, {summary.completion_tokens:,} written, "
        f"{duration(summary.seconds)}."
    )
    if summary.rejected:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in summary.rejected.most_common())
        say(f"Rejected: {reasons}; they are kept in {rejected_path(out)}.")
    if summary.is_over_budget:
        say("The run stopped at --max-requests; run the same command again to resume.")
