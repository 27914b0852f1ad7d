"""Answers of the tiny model: alone, in batches, streamed and cached they are the same; choices; bad questions."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mellow.answer import decode
from mellow.answer.choose import ChoiceRule
from mellow.answer.decode import BATCH, DecodingOptions, log_softmax, prefill
from mellow.answer.facade import Mellow
from mellow.audio import CED
from mellow.errors import AudioError, MellowError, QuestionError
from mellow.types import Answer, Clip

RATE = CED.sample_rate
SHORT = DecodingOptions(max_new_tokens=6)
OPTIONS = ("dog", "a cat meows", "the rain falls on a roof")


@pytest.fixture(scope="module")
def items(tone: Any) -> list[dict[str, Any]]:
    """Open questions about one, two, short and long clips, more than one batch of them."""
    a, b, short, long = tone(440, 2.0), tone(900, 3.1), tone(300, 0.2), tone(700, 21.0)
    items = [
        {"audio": a, "question": "What is it?"},
        {"audio": b, "question": "Describe everything that can be heard in this recording, one after the other."},
        {"audio": a, "audio2": b, "question": "How do they differ?"},
        {"audio": long, "question": "What is it?"},
        {"audio": short, "audio2": long, "question": "Which is longer?"},
        {"audio": short, "question": "?"},
    ]
    return items + [{"audio": a, "question": f"What is number {n}?"} for n in range(BATCH - 5)]


# --- one answer, however it is asked for ------------------------------------------------------------------------------


def test_batched_single_cached_and_streamed_answers_are_equal(tiny: Mellow, items: list[dict[str, Any]]) -> None:
    together = tiny.ask_many(items, decoding=SHORT)
    assert len({answer.text for answer in together}) > len(items) // 2
    for item, batched in zip(items, together, strict=True):
        clips = item["audio"], item.get("audio2")
        assert tiny.ask(clips[0], item["question"], audio2=clips[1], decoding=SHORT) == batched
        with tiny.encode(*clips) as ear:
            assert ear.ask(item["question"], decoding=SHORT) == batched
            assert "".join(ear.stream(item["question"], decoding=SHORT)) == batched.text


def test_questions_to_one_ear_do_not_disturb_each_other(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    first = ear.ask("What is it?", decoding=SHORT)
    ear.ask("Is it loud?", choices=("yes", "no"))
    list(ear.stream("Where is it?", decoding=SHORT))
    assert ear.ask("What is it?", decoding=SHORT) == first


def test_open_and_closed_questions_mixed_come_back_in_order(tiny: Mellow, tone: Any) -> None:
    a = tone(440, 2.0)
    items = [
        {"audio": a, "question": "What is it?"},
        {"audio": a, "question": "What is it?", "choices": OPTIONS},
        {"audio": a, "question": "What is it? (a) dog (b) rain"},
        {"audio": a, "question": "Where is it?", "choices": ()},
    ]
    together = tiny.ask_many(items, decoding=SHORT)
    alone = [tiny.ask(a, item["question"], choices=item.get("choices", ()), decoding=SHORT) for item in items]
    plain = [[dataclasses.replace(answer, probabilities=()) for answer in answers] for answers in (together, alone)]
    assert plain[0] == plain[1]
    for batched, single in zip(together, alone, strict=True):
        assert batched.probabilities == pytest.approx(single.probabilities, abs=1e-6)
    assert [answer.stop_reason for answer in together] == ["length", "choice", "choice", "length"]
    assert tiny.ask_many([]) == []


def test_a_clip_is_encoded_once_for_all_questions_about_it(
    tiny: Mellow, tone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many batches they fill, open and closed ones."""
    encoded: list[Any] = []
    encode = tiny.engine.encode

    def count(mel_FM: Any) -> Any:
        encoded.append(mel_FM)
        return encode(mel_FM)

    monkeypatch.setattr(tiny.engine, "encode", count, raising=False)
    questions = [{"audio": tone(), "question": f"What is {n}?"} for n in range(BATCH + 1)]
    questions += [{"audio": tone(), "question": "Which?", "choices": ["dog", "rain"]}]
    assert len(tiny.ask_many(questions, decoding=DecodingOptions(max_new_tokens=1))) == BATCH + 2
    assert len(encoded) == 1
    with pytest.raises(QuestionError, match="empty"):
        tiny.ask_many([*questions, {"audio": tone(), "question": " "}])
    assert len(encoded) == 1, "what cannot be asked is told before anything is heard"


@pytest.mark.parametrize("seed", [1, 2])
def test_seeded_sampling_repeats_alone_and_in_batches(tiny: Mellow, items: list[dict[str, Any]], seed: int) -> None:
    decoding = DecodingOptions(max_new_tokens=6, sample=True, top_p=0.9, temperature=2.0, seed=seed)
    together = tiny.ask_many(items[:4], decoding=decoding)
    assert together == tiny.ask_many(items[:4], decoding=decoding)
    for item, batched in zip(items[:4], together, strict=True):
        assert tiny.ask(item["audio"], item["question"], audio2=item.get("audio2"), decoding=decoding) == batched
    assert together != tiny.ask_many(items[:4], decoding=SHORT)


def test_paths_bytes_file_objects_and_clips_give_equal_answers(tiny: Mellow, tone: Any) -> None:
    path = tone(440, 2.0)
    content = path.read_bytes()
    expected = tiny.ask(path, "What is it?", decoding=SHORT)
    for source in (str(path), content, io.BytesIO(content), tiny.processor.clip(path)):
        assert tiny.ask(source, "What is it?", decoding=SHORT) == expected
    with Path(path).open("rb") as file:
        assert tiny.ask(file, "What is it?", audio2=content, decoding=SHORT) == tiny.ask(
            path, "What is it?", audio2=path, decoding=SHORT
        )


def test_the_second_clip_and_its_order_matter(tiny: Mellow, tone: Any) -> None:
    a, b = tone(440, 2.0), tone(900, 3.1)
    prefixes = [tiny.encode(*clips).prefixes[0] for clips in ((a,), (a, b), (b, a))]
    assert len({prefix.tobytes() for prefix in prefixes}) == 3
    assert len(prefixes[1]) == len(prefixes[2]) > len(prefixes[0])


# --- against transformers ---------------------------------------------------------------------------------------------


def test_transformers_generate_says_the_same_token_for_token(
    tiny: Mellow, tiny_model: Any, items: list[dict[str, Any]]
) -> None:
    torch = pytest.importorskip("torch")
    left_pad = pytest.importorskip("mellow.model.modeling").left_pad
    prompt, processor = tiny.processor.prompt, tiny.processor
    rows, features = [], []
    for item in items[:6]:
        clips = [item[name] for name in ("audio", "audio2") if name in item]
        rows.append([*prompt.prefix(len(clips)), *prompt.question(item["question"])])
        features += [[torch.from_numpy(mel) for mel in processor.features(processor.clip(clip))] for clip in clips]
    input_ids, attention_mask = left_pad(rows)
    generated = tiny_model.generate(
        input_ids,
        attention_mask=attention_mask,
        features=features,
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=list(prompt.stop_ids),
    )
    texts = [prompt.tokenizer.decode(row.tolist()).strip() for row in generated]
    assert texts == [answer.text for answer in tiny.ask_many(items[:6], decoding=SHORT)]


# --- choices ----------------------------------------------------------------------------------------------------------


def test_a_choice_is_one_of_the_options_with_probabilities_that_sum_to_one(tiny: Mellow, tone: Any) -> None:
    answer = tiny.ask(tone(440, 2.0), "What is it?", choices=OPTIONS)
    assert answer.choice == answer.text == OPTIONS[int(np.argmax(answer.probabilities))]
    assert sum(answer.probabilities) == pytest.approx(1)
    assert len(answer.probabilities) == len(OPTIONS)
    assert answer.stop_reason == "choice"


def test_options_scored_in_one_pass_are_scored_as_one_by_one(tiny: Mellow, tone: Any) -> None:
    """The mean log-likelihood of each option, read token by token behind the whole prompt."""
    a = tone(440, 2.0)
    found = tiny.ask(a, "What is it?", choices=OPTIONS)
    ear, prompt, engine = tiny.encode(a), tiny.processor.prompt, tiny.engine
    written = tiny._question("What is it?", OPTIONS, 1)
    scores = []
    for option in OPTIONS:
        logits_BV, cache = prefill(engine, [np.concatenate([ear.prefixes[0], written])])
        likelihoods = []
        for token in prompt.answer(option):
            likelihoods.append(log_softmax(logits_BV[0])[token])
            embeds = engine.embed([token])
            logits_BV, cache = engine.forward(embeds[None], np.ones((1, 1), np.int64), cache)
        scores.append(np.mean(likelihoods))
    np.testing.assert_allclose(found.probabilities, np.exp(log_softmax(np.array(scores))), atol=1e-4)


def test_options_in_the_question_are_chosen_from(tiny: Mellow, tone: Any) -> None:
    answer = tiny.ask(tone(440, 2.0), "What is it?\n(a) dog\n(b) a cat meows\n(c) rain")
    assert answer.options == ("dog", "a cat meows", "rain")
    assert answer.choice in answer.options
    assert len(answer.probabilities) == 3
    assert tiny.ask(tone(440, 2.0), "What is it?", decoding=SHORT).options == ()


def test_given_choices_win_over_options_in_the_question(tiny: Mellow, tone: Any) -> None:
    answer = tiny.ask(tone(440, 2.0), "Is it (a) a dog (b) a cat?", choices=("yes", "no"))
    assert answer.options == ("yes", "no")
    assert answer.choice in ("yes", "no")
    item = {"audio": tone(440, 2.0), "question": "Is it (a) a dog (b) a cat?", "choices": ("yes", "no")}
    assert tiny.ask_many([item])[0].options == ("yes", "no")


def with_rule(model: Mellow, **rule: Any) -> Mellow:
    return dataclasses.replace(model, rule=ChoiceRule(**rule))


def test_the_prior_is_what_the_model_would_choose_without_hearing(tiny: Mellow, tone: Any) -> None:
    a = tone(440, 2.0)
    plain, half, whole = (with_rule(tiny, prior_weight=w).ask(a, "What?", choices=OPTIONS) for w in (0, 0.5, 1))
    logs = [np.log(answer.probabilities) for answer in (plain, half, whole)]
    centred = [log - log.mean() for log in logs]
    np.testing.assert_allclose(centred[1], (centred[0] + centred[2]) / 2, atol=1e-4)
    assert np.abs(centred[2] - centred[0]).max() > 1e-3


def test_abstaining(tiny: Mellow, tone: Any) -> None:
    answer = with_rule(tiny, abstain_below=0.99).ask(tone(440, 2.0), "What is it?", choices=OPTIONS)
    assert (answer.choice, answer.stop_reason) == (None, "abstained")
    assert sum(answer.probabilities) == pytest.approx(1)


def test_a_question_may_bring_its_own_rule(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    plain = ear.ask("What is it?", choices=OPTIONS)
    strict = ear.ask("What is it?", choices=OPTIONS, rule=ChoiceRule(abstain_below=0.99))
    assert (plain.stop_reason, strict.stop_reason) == ("choice", "abstained")
    decoded = ear.ask("What is it?", choices=OPTIONS, rule=ChoiceRule(by="decoding"))
    assert decoded.choice in OPTIONS
    assert decoded.probabilities != plain.probabilities
    asked = tiny.ask(tone(440, 2.0), "What is it?", choices=OPTIONS, rule=ChoiceRule(by="decoding"))
    np.testing.assert_allclose(asked.probabilities, decoded.probabilities, atol=1e-4)


@pytest.mark.parametrize("rule", [{}, {"prior_weight": 0.5}, {"by": "decoding", "prior_weight": 1.0}])
def test_choices_in_a_batch_equal_those_alone(tiny: Mellow, tone: Any, rule: dict[str, Any]) -> None:
    """Of any number of options and clips, between open questions, in fewer passes."""
    model = with_rule(tiny, **rule)
    a, b = tone(440, 2.0), tone(900, 1.0)
    items: list[dict[str, Any]] = [
        {"audio": a, "question": "What?", "choices": OPTIONS},
        {"audio": a, "question": "What is it?"},
        {"audio": a, "audio2": b, "question": "Which is higher?", "choices": ("the first", "the second")},
        {"audio": b, "question": "Is it (a) a dog (b) a cat (c) rain (d) wind?"},
    ]
    for item, answer in zip(items, model.ask_many(items, decoding=SHORT), strict=True):
        alone = model.ask(decoding=SHORT, **item)
        assert (answer.text, answer.choice, answer.stop_reason) == (alone.text, alone.choice, alone.stop_reason)
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, atol=1e-4)


# --- times and mistakes -----------------------------------------------------------------------------------------------


def test_hearing_is_paid_for_by_the_first_answer(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    ear.seconds = 100.0
    assert ear.ask("What is it?", decoding=SHORT).seconds > 100
    assert 0 < ear.ask("What is it?", decoding=SHORT).seconds < 100
    batch = [{"audio": tone(440, 2.0), "question": "?"}] * 2
    assert all(answer.seconds > 0 for answer in tiny.ask_many(batch, decoding=SHORT))


@pytest.mark.parametrize(
    ("question", "how", "error", "message"),
    [
        ("", {}, QuestionError, "empty"),
        ("x" * 1_000_000, {}, QuestionError, "1,000,000 characters"),
        ("Options: x" + " " * 1_000_000 + "y", {}, QuestionError, "characters"),
        ("What?", {"choices": ["dog"]}, QuestionError, "at least two"),
        ("What?", {"choices": [""]}, QuestionError, "two options"),
        ("What?", {"choices": "dog"}, QuestionError, "single string"),
        ("What?", {"choices": ["dog", "dog"]}, QuestionError, "All options are 'dog'"),
        ("What?", {"audio2": "/no/such/file.wav"}, AudioError, "There is no file"),
        ("What?", {"audio": b"not audio"}, AudioError, "not audio"),
        ("What?", {"audio": None}, QuestionError, "at least one clip"),
    ],
)
def test_what_cannot_be_asked(
    tiny: Mellow, tone: Any, question: str, how: dict[str, Any], error: type[MellowError], message: str
) -> None:
    item = {"audio": tone(440, 1.0), "question": question, **how}
    with pytest.raises(error, match=message):
        tiny.ask_many([item])
    with pytest.raises(error, match=message):
        tiny.ask(item.pop("audio"), item.pop("question"), **item)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "It has no 'audio'"),
        ({"audio": "a.wav"}, "It has no 'question'"),
        ({"audio": 1, "question": "?", "x": 2}, "It has the unknown key 'x'"),
        (["a.wav", "What?"], "It must be a mapping .* not a list"),
        ({"audio": "a.wav", "question": 5}, "The question must be a string, not an int"),
        ({"audio": None, "question": "What?"}, "at least one clip"),
        ({"audio": "/no/such.wav", "question": "What?"}, "(?:t|T)here is no file"),
    ],
)
def test_one_bad_question_is_named_and_harms_no_other(tiny: Mellow, tone: Any, item: Any, message: str) -> None:
    good = {"audio": tone(440, 1.0), "question": "What?"}
    with pytest.raises(MellowError, match=f"^Question 2: .*{message}"):
        tiny.ask_many([good, item], decoding=SHORT)
    calls: list[tuple[int, int]] = []
    outcomes = tiny.ask_many(
        (row for row in (good, item, good)),  # a generator is as good as a list
        decoding=SHORT,
        on_error="return",
        progress=lambda done, total: calls.append((done, total)),
    )
    alone = tiny.ask(**good, decoding=SHORT)
    assert [outcomes[0], outcomes[2]] == [alone, alone]
    assert isinstance(outcomes[1], MellowError)
    assert str(outcomes[1]).startswith("Question 2: ")
    assert calls[-1] == (3, 3)


def test_a_batch_keeps_only_clips_that_are_still_asked_about(tiny: Mellow, tone: Any) -> None:
    """Memory does not grow with the number of clips."""
    alive: list[int] = []
    references: list[Any] = []
    encode = tiny.engine.encode

    class Watching:
        positions = tiny.engine.positions

        def __getattr__(self, name: str) -> Any:
            return getattr(tiny.engine, name)

        def encode(self, windows: Any) -> Any:
            heard = encode(windows)
            references.append(weakref.ref(heard))
            alive.append(sum(reference() is not None for reference in references))
            return heard

    items = [{"audio": tone(200 + n, 0.5), "question": "What?"} for n in range(3 * BATCH)]
    dataclasses.replace(tiny, engine=Watching()).ask_many(items, decoding=DecodingOptions(max_new_tokens=1))
    assert len(alive) == 3 * BATCH
    assert max(alive) <= BATCH + 1


def test_repeated_options_have_one_probability(tiny: Mellow, tone: Any) -> None:
    """As 349 rows of MMAU have them; the prompt shows what was given."""
    a, options = tone(440, 2.0), ["dog", "cat", " Dog", "rain"]
    answer = tiny.ask(a, "What?", choices=options)
    assert answer.probabilities[0] == answer.probabilities[2]
    assert sum(answer.probabilities) - answer.probabilities[0] == pytest.approx(1)
    (batched,) = tiny.ask_many([{"audio": a, "question": "What?", "choices": iter(options)}])
    assert batched.choice == answer.choice
    assert batched.probabilities == pytest.approx(answer.probabilities, abs=1e-4)
    shown = tiny.ask(a, "What?", choices=options[:2] + options[3:])
    assert answer.prompt_tokens > shown.prompt_tokens


@pytest.mark.parametrize("choices", [None, (), [], iter(())])
def test_no_choices_are_none_everywhere(tiny: Mellow, tone: Any, choices: Any) -> None:
    a = tone(440, 2.0)
    expected = tiny.ask(a, "What?", decoding=SHORT)
    assert expected.choice is None
    assert tiny.ask(a, "What?", choices=choices, decoding=SHORT) == expected
    assert tiny.encode(a).ask("What?", choices=choices, decoding=SHORT) == expected
    assert tiny.ask_many([{"audio": a, "question": "What?", "choices": choices}], decoding=SHORT) == [expected]


def test_answers_tell_how_many_tokens_they_took(tiny: Mellow, tone: Any) -> None:
    a, prompt = tone(440, 2.0), tiny.processor.prompt
    ear = tiny.encode(a)
    answer = ear.ask("What?", decoding=SHORT)
    assert answer.prompt_tokens == len(ear.prefixes[0]) + len(prompt.question("What?"))
    assert answer.answer_tokens == 6
    choice = ear.ask("What?", choices=OPTIONS)
    assert choice.prompt_tokens > answer.prompt_tokens
    assert choice.answer_tokens == 0


# --- no more than the model was made for ------------------------------------------------------------------------------


def test_a_prompt_that_the_model_has_no_room_for_is_refused(tiny: Mellow, tone: Any) -> None:
    """In the positions of its config, counted in tokens: clips, question and options together."""
    a = tone(440, 2.0)
    assert tiny.engine.positions == 1024
    for how in ({"question": "why? " * 1500}, {"question": "Which?", "choices": ["dog " * 1200, "cat"]}):
        with pytest.raises(QuestionError, match=r"take [\d,]+ tokens, and the context of the model has 1,024"):
            tiny.ask(a, **how)
        with pytest.raises(QuestionError, match=r"Question 1: .* 1,024"):
            tiny.ask_many([{"audio": a, **how}])
    with pytest.raises(QuestionError, match="1,024"):
        tiny.encode(a).stream("why? " * 1500)


def test_the_last_position_can_be_used_and_no_more(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    words = 100
    while ear.ask("why " * words, decoding=DecodingOptions(max_new_tokens=1)).prompt_tokens < 1020:
        words += max(1, (1020 - len(ear.prefixes[0]) - words) // 2)
    question = "why " * words
    answer = ear.ask(question, decoding=DecodingOptions(max_new_tokens=300))
    assert answer.prompt_tokens + answer.answer_tokens == 1024 + 1  # the last token is not read any more
    assert answer.stop_reason == "length"
    assert "".join(ear.stream(question)) == answer.text
    (batched, short) = tiny.ask_many(
        [{"audio": tone(440, 2.0), "question": question}, {"audio": tone(440, 1.0), "question": "What?"}],
        decoding=DecodingOptions(max_new_tokens=8),
    )
    assert batched == ear.ask(question, decoding=DecodingOptions(max_new_tokens=8))
    assert short.answer_tokens == 8


# --- long clips -------------------------------------------------------------------------------------------------------


def stretch(clip: Clip, start: int) -> Clip:
    """30 s of it, or what is left."""
    return dataclasses.replace(clip, waveform_S=clip.waveform_S[start * RATE : (start + 30) * RATE])


def test_a_long_clip_is_asked_about_in_stretches(tiny: Mellow, tone: Any) -> None:
    long = tiny.processor.clip(tone(700, 65.0))
    parts = [
        dataclasses.replace(long, waveform_S=long.waveform_S[30 * n * RATE : 30 * (n + 1) * RATE]) for n in (0, 1, 2)
    ]
    alone = [tiny.ask(part, "What is it?", decoding=SHORT) for part in parts]
    answer = tiny.ask(long, "What is it?", decoding=SHORT)
    stamps = ["[0:00-0:30]", "[0:30-1:00]", "[1:00-1:05]"]
    assert answer.text == "\n".join(f"{stamp} {part.text}" for stamp, part in zip(stamps, alone, strict=True))
    assert answer.prompt_tokens == sum(part.prompt_tokens for part in alone)
    assert [(window.start, window.end) for window in answer.windows] == [(0, 30), (30, 60), (60, 65)]
    stream = tiny.encode(long).stream("What is it?", decoding=SHORT)
    assert "".join(stream) == answer.text
    assert stream.answer == answer
    assert tiny.ask_many([{"audio": long, "question": "What is it?"}], decoding=SHORT) == [answer]


def test_the_surest_stretch_decides_and_yes_is_a_maximum(tiny: Mellow, tone: Any) -> None:
    long = tiny.processor.clip(tone(700, 65.0))
    parts = [
        dataclasses.replace(long, waveform_S=long.waveform_S[30 * n * RATE : 30 * (n + 1) * RATE]) for n in (0, 1, 2)
    ]
    for options in (OPTIONS, ("Yes", "no"), ("no", "yes")):
        alone = [tiny.ask(part, "Which?", choices=options) for part in parts]
        yes = [option.lower() for option in options].index("yes") if len(options) == 2 else None
        wanted = max(alone, key=lambda a: a.probabilities[yes] if yes is not None else max(a.probabilities))
        (batched,) = tiny.ask_many([{"audio": long, "question": "Which?", "choices": options}])
        for found in (tiny.ask(long, "Which?", choices=options), batched):
            assert found.choice == wanted.choice
            assert found.probabilities == pytest.approx(wanted.probabilities, abs=1e-4)
            assert [window.choice for window in found.windows] == [part.choice for part in alone]


def test_two_long_clips_go_side_by_side(tiny: Mellow, tone: Any) -> None:
    """Stretch by stretch; the last one of the shorter clip stays beside the rest of the longer one."""
    first, second = (tiny.processor.clip(tone(hertz, seconds)) for hertz, seconds in ((700, 65.0), (300, 35.0)))

    pairs = [(stretch(first, a), stretch(second, b)) for a, b in ((0, 0), (30, 30), (60, 30))]
    alone = [tiny.ask(a, "How do they differ?", audio2=b, decoding=SHORT).text for a, b in pairs]
    answer = tiny.ask(first, "How do they differ?", audio2=second, decoding=SHORT)
    assert [window.text for window in answer.windows] == alone


def test_positions_of_a_batch_are_bounded(tiny: Mellow, tone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long clip, too; the answer is the same."""
    long = tone(700, 125.0)
    expected = tiny.ask(long, "What is it?", decoding=SHORT)
    monkeypatch.setattr(decode, "POSITIONS_AT_ONCE", 300)
    ear = tiny.encode(long)
    assert ear.cache is None
    assert ear.ask("What is it?", decoding=SHORT) == expected
    kept = tiny.encode(tone(440, 2.0))
    assert kept.cache is not None


def test_an_hour_is_answered_in_bounded_memory(tiny: Mellow, tmp_path: Path) -> None:
    """The samples at 16 kHz take 230 MB; all else must not grow with them."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("needs /proc to read the peak of a process")
    soundfile.write(tmp_path / "hour.flac", np.zeros(3600 * RATE, np.int16), RATE)
    code = (
        "import sys, mellow; from mellow.answer.decode import DecodingOptions\n"
        "def peak(): return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "model = mellow.load(sys.argv[1], dtype='fp32'); before = peak()\n"
        "answer = model.ask(sys.argv[2], 'What is it?', decoding=DecodingOptions(max_new_tokens=2))\n"
        "print(len(answer.windows), (peak() - before) // 1024)"
    )
    command = [sys.executable, "-c", code, tiny.name, str(tmp_path / "hour.flac")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    windows, megabytes = map(int, done.stdout.split())
    assert windows == 120
    assert megabytes < 400


# --- threads ----------------------------------------------------------------------------------------------------------


def test_threads_that_share_a_model_get_the_answers_of_one_after_another(tiny: Mellow, tone: Any) -> None:
    a, b = tone(440, 2.0), tone(900, 3.1)
    ear = tiny.encode(a)
    tasks: list[Any] = []
    for n in range(8):
        question = f"What is number {n}?"
        tasks += [
            lambda q=question: ear.ask(q, decoding=SHORT),
            lambda q=question: ear.ask(q, choices=OPTIONS),
            lambda q=question: "".join(ear.stream(q, decoding=SHORT)),
            lambda q=question: tiny.ask(b, q, decoding=SHORT),
            lambda q=question: tiny.ask_many([{"audio": clip, "question": q} for clip in (a, b)], decoding=SHORT),
        ]
    expected = [task() for task in tasks]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda task: task(), tasks)) == expected


# --- streams ----------------------------------------------------------------------------------------------------------


class Saying:
    """The tiny model's engine with its words put into its mouth."""

    def __init__(self, model: Mellow, ids: list[int]) -> None:
        self.engine, self.ids = model.engine, ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def forward(self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Any, **how: Any) -> Any:
        logits_BV, after = self.engine.forward(embeds_BLD, mask_BL, cache, **how)
        if embeds_BLD.shape[1] > 1:
            self.said = 0
        else:
            self.said += 1
        logits_BV[:] = 0
        logits_BV[:, self.ids[self.said]] = 1
        return logits_BV, after


def streamed(model: Mellow, audio: Path, ids: list[int], most: int = 99) -> tuple[list[str], Answer]:
    """The pieces of a stream and the answer, where the engine says these tokens."""
    said = dataclasses.replace(model, engine=Saying(model, ids))
    decoding = DecodingOptions(max_new_tokens=most)
    stream = said.encode(audio).stream("What?", decoding=decoding)
    pieces, answer = list(stream), said.ask(audio, "What?", decoding=decoding)
    assert stream.answer == answer
    return pieces, answer


@pytest.mark.parametrize(
    "text", ["A dog.", "  A dog \n", "un été à Zürich 🐕🐕 – ok 🐕", "", "  ", "\ufffd dog", "dog \ufffd"]
)
def test_pieces_of_a_stream_are_whole_and_join_to_the_answer(tiny: Mellow, tone: Any, text: str) -> None:
    ids = [*tiny.processor.prompt.tokenizer.encode(text), 2]
    pieces, answer = streamed(tiny, tone(440, 1.0), ids)
    assert "".join(pieces) == answer.text == text.strip()
    assert all(pieces)
    assert answer.stop_reason == "end"


@pytest.mark.parametrize("most", range(1, 8))
def test_an_answer_cut_within_a_character_is_streamed_as_it_is_answered(tiny: Mellow, tone: Any, most: int) -> None:
    ids = [*tiny.processor.prompt.tokenizer.encode("ok \U0001f9ab \U0001f9ab\U0001f9ab"), 2]
    pieces, answer = streamed(tiny, tone(440, 1.0), ids, most)
    assert "".join(pieces) == answer.text
    assert answer.stop_reason == ("end" if most >= len(ids) else "length")


def test_a_stream_begins_before_the_answer_ends(tiny: Mellow, tone: Any) -> None:
    ids = [*tiny.processor.prompt.tokenizer.encode("one two three four"), 2]
    pieces, _ = streamed(tiny, tone(440, 1.0), ids)
    assert pieces == ["one", " two", " three", " four"]


def test_the_answer_of_a_stream_can_be_had_before_its_pieces(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    expected = ear.ask("What?", decoding=SHORT)
    stream = ear.stream("What?", decoding=SHORT)
    first = next(stream)
    assert expected.text.startswith(first)
    assert (stream.answer, stream.answer.stop_reason) == (expected, "length")
    assert list(stream) == []


def test_a_stream_of_what_cannot_be_asked_is_refused_at_once(tiny: Mellow, tone: Any) -> None:
    with pytest.raises(QuestionError, match="empty"):
        tiny.encode(tone(440, 2.0)).stream(" ")


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_are_the_mean_log_likelihoods_of_options(tiny: Mellow, tone: Any) -> None:
    """Token by token along each option, with the audio in front of the question and without."""
    engine, prompt = tiny.engine, tiny.processor.prompt
    ear = tiny.encode(tone(440, 2.0), tone(900, 3.1))
    found = ear.score("Which?", OPTIONS)
    asked = prompt.question(prompt.write("Which?", OPTIONS))
    for scores, prefix_LD in (
        (found.with_audio, ear.prefixes[0]),
        (found.without_audio, engine.embed(prompt.assemble(()).ids)),
    ):
        for score, option in zip(scores, OPTIONS, strict=True):
            ids = prompt.answer(option)
            whole_LD = np.concatenate([prefix_LD, engine.embed([*asked, *ids[:-1]])])
            logits_BLV, _ = engine.forward(whole_LD[None], np.ones((1, len(whole_LD)), np.int64), None, every=True)
            logs_LV = log_softmax(logits_BLV[0, -len(ids) :])
            assert score == pytest.approx(np.mean([logs_V[token] for logs_V, token in zip(logs_LV, ids, strict=True)]))
    assert found.with_audio != pytest.approx(found.without_audio)


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_a_choice_is_made_of_its_scores(tiny: Mellow, tone: Any, weight: float) -> None:
    """Of a short clip, and of a long one: the scores are those of the stretch that decides."""
    model = dataclasses.replace(tiny, rule=ChoiceRule(prior_weight=weight))
    for clip in (tone(440, 2.0), tone(700, 95.0)):
        ear = model.encode(clip)
        scores = ear.score("Which?", OPTIONS)
        rest = np.array(scores.with_audio) - weight * np.array(scores.without_audio)
        answer = ear.ask("Which?", choices=OPTIONS)
        assert answer.probabilities == pytest.approx(np.exp(log_softmax(rest)), rel=1e-5)
    assert len(ear.views) > 1


def test_scoring_leaves_the_rule_out_and_gives_equal_options_one_score(tiny: Mellow, tone: Any) -> None:
    ear = tiny.encode(tone(440, 2.0))
    plain = ear.score("Which?", ["dog", "rain", "Dog"])
    other = dataclasses.replace(tiny, rule=ChoiceRule("decoding", prior_weight=2.0, temperature=9.0, abstain_below=1))
    assert other.encode(tone(440, 2.0)).score("Which?", ["dog", "rain", "Dog"]) == plain
    assert plain.with_audio[0] == plain.with_audio[2] != plain.with_audio[1]
    for options in ([], ["dog"], ["dog", "dog"], ["dog", ""], None):
        with pytest.raises(QuestionError, match="option"):
            ear.score("Which?", options)  # type: ignore[arg-type]
    with pytest.raises(QuestionError, match="The question is empty"):
        ear.score(" ", OPTIONS)
