"""The published layout through the facade: single, batched, streamed and cached answers are equal; long clips."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mellow.answer import decode
from mellow.answer.choose import ChoiceRule
from mellow.answer.decode import DecodingOptions, generate, prefill
from mellow.answer.encode import EncodedClip
from mellow.answer.facade import Mellow
from mellow.answer.views import EncodedView, merge_texts, pair, stamp
from mellow.processor import ClipPolicy
from mellow.text.published_prompt import SEPARATOR
from mellow.types import Answer, Encoded, WindowAnswer

Tone = Callable[..., Path]
FEW = DecodingOptions(max_new_tokens=6)
QUESTIONS = ["What is it?", "caption the audio.", "How many dogs bark in the distance, and why do they?"]


def test_single_batched_streamed_and_cached_answers_are_equal(published: Mellow, tone: Tone) -> None:
    clips = [tone(440, 2.0), tone(900, 10.0), tone(300, 12.0)]
    items = [{"audio": clip, "question": question} for clip, question in zip(clips, QUESTIONS, strict=True)]
    items += [{"audio": clips[0], "audio2": clips[1], "question": QUESTIONS[0]}]
    single = [
        published.ask(item["audio"], str(item["question"]), audio2=item.get("audio2"), decoding=FEW) for item in items
    ]
    assert len({answer.text for answer in single}) > 1, "the clips should make a difference"
    assert published.ask_many(items, decoding=FEW) == single
    for item, answer in zip(items, single, strict=True):
        with published.encode(item["audio"], item.get("audio2")) as ear:
            for _ in range(2):
                assert ear.ask(str(item["question"]), decoding=FEW) == answer
            assert "".join(ear.stream(str(item["question"]), decoding=FEW)) == answer.text
        assert ear.ask(str(item["question"]), decoding=FEW) == answer  # closed: the prefix is read again


def test_an_answer_is_greedy_on_the_whole_prompt(published: Mellow, tone: Tone) -> None:
    """Against the plain way: all 389 embeddings at once, no cache kept between question and audio."""
    engine, prompt = published.engine, published.processor.prompt
    view = next(iter(published.processor.views(published.processor.clip(tone(440, 2.0)))))
    audio_KD = engine.encode(view.windows[0]).audio_KD
    separator = engine.embed([SEPARATOR])
    question_LD = engine.embed(prompt.question("What is it?"))
    prefix_LD = np.concatenate([audio_KD, separator, audio_KD, separator, question_LD])
    assert prefix_LD.shape == (389, 24)
    done = generate(engine, *prefill(engine, [prefix_LD]), stop_ids=(0,), decoding=FEW)[0]
    assert published.ask(tone(440, 2.0), "What is it?", decoding=FEW).text == prompt.tokenizer.decode(done.ids).strip()


def test_a_batch_hears_each_clip_once(published: Mellow, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, encoded = [tone(440, 2.0), tone(900, 10.0)], []
    encode = published.engine.encode
    monkeypatch.setattr(published.engine, "encode", lambda mel_FM: encoded.append(mel_FM) or encode(mel_FM))
    items = [{"audio": clips[0], "audio2": str(clips[n % 2]), "question": "What is it?"} for n in range(4)]
    answers = published.ask_many(items, decoding=FEW)
    assert len(encoded) == 2
    assert answers[0] == answers[2] == published.ask(clips[0], "What is it?", decoding=FEW)


def test_a_single_clip_is_the_same_clip_twice(published: Mellow, tone: Tone) -> None:
    clip = tone(440, 2.0)
    assert published.ask(clip, "What?", decoding=FEW) == published.ask(clip, "What?", audio2=clip, decoding=FEW)


def test_choices(published: Mellow, tone: Tone) -> None:
    clip, options = tone(440, 2.0), ["a dog", "rain", "a siren"]
    answer = published.ask(clip, "Which?", choices=options)
    assert answer.choice in options
    assert answer.text == answer.choice
    assert sum(answer.probabilities) == pytest.approx(1)
    lettered = published.ask(clip, "Which? a) a dog b) rain c) a siren")
    assert (lettered.choice, lettered.probabilities) == (answer.choice, pytest.approx(answer.probabilities))
    (batched,) = published.ask_many([{"audio": clip, "question": "Which?", "choices": options}])
    assert replace(batched, probabilities=answer.probabilities) == answer
    assert batched.probabilities == pytest.approx(answer.probabilities, abs=1e-5)
    less_prior = replace(published, rule=ChoiceRule(prior_weight=1.0))
    assert less_prior.ask(clip, "Which?", choices=options).probabilities != answer.probabilities


def test_options_are_written_out_where_that_is_wanted(published: Mellow, tone: Tone) -> None:
    item = {"audio": tone(440, 2.0), "question": "Which? a) a dog b) rain"}
    (free,) = published.ask_many([item], decoding=FEW, find_choices=False)
    assert free.choice is None
    assert published.ask_many([item])[0].choice in ("a dog", "rain")


def test_threads_share_a_model(published: Mellow, tone: Tone) -> None:
    """With either engine."""
    ear = published.encode(tone(440, 2.0))
    expected = [ear.ask(question, decoding=FEW) for question in QUESTIONS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda question: ear.ask(question, decoding=FEW), QUESTIONS * 4))
    assert found == expected * 4


# --- long clips -----------------------------------------------------------------------------------------------------


def test_a_long_clip_is_answered_window_by_window(published: Mellow, tone: Tone) -> None:
    answer = published.ask(tone(300, 12.0), "What is it?", decoding=FEW)
    assert [(window.start, window.end) for window in answer.windows] == [(0.0, 10.0), (2.0, 12.0)]
    stamps = ["[0:00-0:10]", "[0:02-0:12]"]
    assert answer.text == "\n".join(f"{s} {w.text}" for s, w in zip(stamps, answer.windows, strict=True))
    clip = published.processor.clip(tone(300, 12.0))
    last = replace(clip, waveform_S=clip.waveform_S[-10 * clip.sample_rate :])
    assert published.ask(last, "What is it?", decoding=FEW).text == answer.windows[1].text


def test_the_surest_window_decides_about_a_long_clip(published: Mellow, tone: Tone) -> None:
    options = ["a dog", "rain", "a siren"]
    answer = published.ask(tone(300, 12.0), "Which?", choices=options)
    clip = published.processor.clip(tone(300, 12.0))
    rate = clip.sample_rate
    parts = [clip.waveform_S[: 10 * rate], clip.waveform_S[2 * rate :]]
    alone = [published.ask(replace(clip, waveform_S=part), "Which?", choices=options) for part in parts]
    surest = max(alone, key=lambda part: max(part.probabilities))
    assert answer.probabilities == pytest.approx(surest.probabilities, rel=1e-4)
    assert [window.choice for window in answer.windows] == [part.choice for part in alone]


def test_more_windows_than_a_batch(published: Mellow, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their caches are not kept; the answers are the same."""
    clip = tone(300, 20.0)
    expected = published.ask(clip, "What is it?", decoding=FEW)
    chosen = published.ask(clip, "Which?", choices=["a dog", "rain"])
    assert len(expected.windows) == 3
    monkeypatch.setattr(decode, "BATCH", 2)
    ear = published.encode(clip)
    assert ear.cache is None
    assert ear.ask("What is it?", decoding=FEW) == expected
    assert "".join(ear.stream("What is it?", decoding=FEW)) == expected.text
    again = ear.ask("Which?", choices=["a dog", "rain"])
    assert (again.choice, again.probabilities) == (chosen.choice, pytest.approx(chosen.probabilities))
    assert published.ask_many([{"audio": clip, "question": "What is it?"}], decoding=FEW) == [expected]


def test_policies(published: Mellow, tone: Tone) -> None:
    def with_policy(policy: ClipPolicy) -> Mellow:
        return replace(published, processor=replace(published.processor, policy=policy))

    short, long = tone(440, 3.0), tone(300, 12.0)
    rows = [with_policy(ClipPolicy(name)).encode(short).clips[0].audio_KD for name in ("repeat", "pad")]  # type: ignore[arg-type]
    assert rows[0].shape == rows[1].shape == (129, 24)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3
    for name, windows in (("windows", 2), ("start", 1), ("center", 1)):
        assert len(with_policy(ClipPolicy("repeat", name)).encode(long).views) == windows  # type: ignore[arg-type]


# --- views ----------------------------------------------------------------------------------------------------------


def view(start: float, name: str) -> EncodedView:
    scores_C = np.array([ord(name)])
    encoded = Encoded(np.zeros((1, 1)), scores_C, scores_C[None])
    return EncodedView(start, start + 10, [EncodedClip(encoded)])


def names(views: list[EncodedView]) -> list[str]:
    return ["".join(chr(int(clip.encoded.clip_scores_C[0])) for clip in view.clips) for view in views]


def test_the_shorter_clips_last_window_stays() -> None:
    long, short = [view(0, "a"), view(8, "b"), view(12.5, "c")], [view(0, "x"), view(3, "y")]
    assert names(pair([long])) == ["a", "b", "c"]
    assert names(pair([long, short])) == ["ax", "by", "cy"]
    assert names(pair([short, long])) == ["xa", "yb", "yc"]
    assert [found.start for found in pair([short, long])] == [0, 8, 12.5]


def test_stamps_and_stop_reasons() -> None:
    views = [view(0, "a"), view(8, "b"), view(3592.5, "c")]
    assert [stamp(v) for v in views] == ["[0:00-0:10] ", "[0:08-0:18] ", "[59:52-60:03] "]
    answers = [Answer("a dog"), Answer("rain", stop_reason="length"), Answer("")]
    merged = merge_texts(views, answers)
    assert merged.text == "[0:00-0:10] a dog\n[0:08-0:18] rain\n[59:52-60:03] "
    assert merged.stop_reason == "length"
    assert merged.windows[1] == WindowAnswer(8, 18, "rain")
    assert merge_texts(views[:1], answers[:1]) == answers[0]
