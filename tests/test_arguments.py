"""Whatever is given for an argument of the public interface: it is taken, or one sentence says why not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mellow
from mellow import MellowError, MellowWrapper
from mellow.answer.choose import ChoiceRule
from mellow.answer.decode import DecodingOptions
from mellow.answer.facade import EncodedAudio, Mellow
from mellow.checks import kind_of, shown, whole_number, within
from mellow.errors import QuestionError
from mellow.processor import ClipPolicy
from mellow.text.question import as_options, check_question, first_equals

ONE = DecodingOptions(max_new_tokens=1)
OPTIONS = ("dog", "cat")


class Awkward:
    """An object that has no representation."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=5),
    st.binary(max_size=5), st.fractions(), st.just(10**5000), st.just(-(10**400)), st.just(Decimal("NaN")),
    st.just(range(3)), st.just(int), st.just(len), st.just(np.float32(0.5)), st.just(np.int64(3)),
    st.just(np.bool_(True)), st.just(Path("x")), st.builds(object), st.builds(Awkward),
)  # fmt: skip
ANYTHING = st.one_of(
    HASHABLE,
    st.lists(HASHABLE, max_size=3),
    st.dictionaries(st.text(max_size=3), HASHABLE, max_size=2),
    st.sets(st.integers(), max_size=2),
    st.builds(lambda items: (item for item in items), st.lists(HASHABLE, max_size=3)),
    st.sampled_from([np.zeros(3), np.array(1), np.array(["a", "b"]), np.array([True, False]), np.zeros((0, 2))]),
    st.builds(ChoiceRule),
    st.builds(ClipPolicy),
    st.just(ONE),
)
often = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def taken_or_refused(call: Callable[[], Any]) -> None:
    try:
        call()
    except MellowError as error:
        sentence = str(error)
        assert "\n" not in sentence
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) < 300


@pytest.fixture(scope="module")
def clip(tiny: Mellow, tone: Any) -> Any:
    return tiny.processor.clip(tone(440, 1.0))


@pytest.fixture(scope="module")
def ear(tiny: Mellow, clip: Any) -> EncodedAudio:
    return tiny.encode(clip)


@pytest.fixture(scope="module")
def wrapper(published_dir: Path) -> MellowWrapper:
    return MellowWrapper("v0", published_dir, use_cuda=False)


# --- any argument -----------------------------------------------------------------------------------------------------


@often
@given(value=ANYTHING)
def test_any_argument_of_ask(tiny: Mellow, ear: EncodedAudio, clip: Any, value: Any) -> None:
    for ask in (lambda *a, **how: tiny.ask(clip, *a, **how), ear.ask):
        taken_or_refused(lambda ask=ask: ask(value, decoding=ONE))
        for name in ("choices", "decoding", "rule"):
            how = {"decoding": ONE, name: value}
            taken_or_refused(
                lambda ask=ask, how=how: (
                    ask("What?", **how) if how["decoding"] is ONE else ask("?", choices=OPTIONS, **how)
                )
            )


@often
@given(value=ANYTHING)
def test_any_argument_of_stream(ear: EncodedAudio, value: Any) -> None:
    taken_or_refused(lambda: ear.stream(value, decoding=ONE))
    taken_or_refused(lambda: ear.stream("What?", decoding=value))


@often
@given(value=ANYTHING, key=HASHABLE)
def test_any_argument_of_ask_many(tiny: Mellow, clip: Any, value: Any, key: Any) -> None:
    good = {"audio": clip, "question": "What?"}
    for questions in (value, [value], [good | {"question": value}], [good | {"choices": value}], [good | {key: value}]):
        if key not in ("audio", "audio2"):
            taken_or_refused(lambda questions=questions: tiny.ask_many(questions, decoding=ONE))
            taken_or_refused(lambda questions=questions: tiny.ask_many(questions, decoding=ONE, on_error="return"))
    for name in ("decoding", "find_choices", "on_error"):
        how = {"decoding": ONE, name: value}
        taken_or_refused(lambda how=how: tiny.ask_many([], **how))
    taken_or_refused(lambda: tiny.ask_many([], progress=value))


@often
@given(value=ANYTHING)
@example(value=10**400)
@example(value="\ud800")
def test_any_argument_of_the_settings(value: Any) -> None:
    for kind in (DecodingOptions, ChoiceRule, ClipPolicy):
        for name in kind.__dataclass_fields__:
            taken_or_refused(lambda kind=kind, name=name: kind(**{name: value}))


@often
@given(value=ANYTHING)
@example(value="x" * 5000)
@example(value="\0")
@example(value="\ud800")
def test_any_argument_of_load(value: Any) -> None:
    taken_or_refused(lambda: mellow.load(value))
    for name in ("engine", "device", "dtype", "threads", "policy"):
        taken_or_refused(lambda name=name: mellow.load("no such model", **{name: value}))


@often
@given(value=ANYTHING)
def test_any_argument_of_the_wrapper(wrapper: MellowWrapper, published_dir: Path, value: Any) -> None:
    taken_or_refused(lambda: MellowWrapper(value, published_dir))
    taken_or_refused(lambda: MellowWrapper("v0", value, use_cuda=False))
    taken_or_refused(lambda: MellowWrapper("v0", "no such model", use_cuda=value))
    taken_or_refused(lambda: wrapper.generate(value, 1))
    taken_or_refused(lambda: wrapper.generate([value], 1))
    taken_or_refused(lambda: wrapper.generate([], value))


# --- what they say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ("dog", "The options are a single string; give a list of strings."),
        (5, "The options must be a list of strings, not an int."),
        ({"a": "dog", "b": "cat"}, "The options must be a list of strings, not a dict."),
        ({"dog", "cat"}, "The options must be a list of strings, not a set."),  # it has no order
        ([1, 2], "Option 1 must be a string, not an int."),
        (["dog", None], "Option 2 must be a string, not None."),
        (np.array(1), "The options must be a list of strings, not a ndarray."),
        (itertools.repeat("x"), "The question has 20,002 characters; at most 20,000 can be asked."),
    ],
)
def test_options_of_the_wrong_type(choices: Any, message: str) -> None:
    with pytest.raises(QuestionError) as caught:
        check_question("?", choices)
    assert str(caught.value) == message


def test_options_of_any_ordered_kind() -> None:
    for choices in (["dog ", "cat"], ("dog", "cat"), (x for x in ("dog", " cat")), np.array(["dog", "cat"])):
        assert as_options(choices) == OPTIONS
    assert as_options(None) == as_options([]) == ()
    assert first_equals(["dog", "cat", "Dog", "rain", "cat"]) == [0, 1, 0, 3, 1]


def test_values_in_messages() -> None:
    assert [kind_of(value) for value in (None, 1, {}, [])] == ["None", "an int", "a dict", "a list"]
    assert shown("mini") == "'mini'"
    assert shown("x" * 500) == "'" + "x" * 59 + "..."
    assert shown(Awkward()) == "an Awkward"
    assert shown(10**5000) == "an int"


def test_numbers() -> None:
    assert whole_number(np.int64(3), what="n", low=1, error=QuestionError) == 3
    assert within(Fraction(1, 2), what="p", low=0, high=1, error=QuestionError) == 0.5
    for value, message in ((True, "n must be a whole number, not True."), ("4", "n must be a whole number, not '4'.")):
        with pytest.raises(QuestionError, match=message):
            whole_number(value, what="n", low=1, error=QuestionError)
    with pytest.raises(QuestionError, match=r"p is nan, but it must be from 0 to 1\."):
        within(float("nan"), what="p", low=0, high=1, error=QuestionError)
