"""Filters that look at one record: rows that fail (the paper's own, and others of the kind), and rows that must not."""

from __future__ import annotations

import pytest

from mellow.data.filters.choices import answer_is_no_option, two_right_options
from mellow.data.filters.harm import harmful
from mellow.data.filters.knowledge import tells_the_caption, world_knowledge
from mellow.data.filters.leaks import leaking_answer
from mellow.data.filters.lengths import bad_generation, bad_length
from mellow.data.filters.refusals import refusal
from mellow.data.filters.vague import vague
from mellow.data.records import Record

from .rows import choice_row, open_row

ASKED = "What is the pitch of the whistle?"


@pytest.mark.parametrize(
    "answer",
    [
        "The duration of the whistling is unknown.",
        "It is unclear what the pitch of the whistle is.",
        "It is difficult to determine the proximity of the person based on the audio clip alone.",
        "It’s difficult to determine how someone else might react, as it depends on the individual.",
        "It is impossible to determine who fired the gun since there is no information regarding the person.",
        "The addition of other sounds would affect the clip, but it’s difficult to say what those sounds might be.",
        "I'm sorry, but I cannot hear the audio.",
        "As an AI language model, I do not have ears.",
        "The audio clip does not provide enough information about the location.",
        "The exact pitch cannot be determined from this description.",
        "Unknown.",
        "B) Cannot be determined",
        "n/a",
        "There is not enough context to tell.",
        "We cannot tell whether it is indoors.",
    ],
)
def test_refusals(answer: str) -> None:
    assert refusal(open_row(ASKED, answer))


@pytest.mark.parametrize(
    "answer",
    [
        "The whistle has a high pitch that falls slowly.",
        "An unknown bird sings in the distance.",
        "The conversation is muffled and the words are hard to make out, as people talk in another room.",
        "The man sounds uncertain and hesitates.",
        "He apologizes and says sorry to the crowd.",
        "The first audio, featuring wind blowing as an aircraft approaches, is loud.",
        "The wind is steady. Leaves rustle throughout. It is difficult to say how many trees there are.",
        "They obscure the rhythm, making it hard to discern.",
    ],
)
def test_no_refusals(answer: str) -> None:
    assert refusal(open_row(ASKED, answer)) is None


def test_entailment_may_be_undetermined() -> None:
    assert refusal(Record("Is it so?", "I cannot determine", task="entailment")) is None


@pytest.mark.parametrize(
    "question",
    [
        "What kind of sound is sizzling?",
        "What is the significance of the sizzling sound in cooking?",
        "What is the difference between gunfire and a single gunshot based on their acoustic features?",
        "What is the acoustic feature that allows you to differentiate between the gunshot and gunfire?",
        "Why do dogs usually bark?",
        "What is a siren?",
        "What does a fire alarm mean?",
        "Where are church bells typically found?",
        "Who invented the telephone?",
    ],
)
def test_world_knowledge(question: str) -> None:
    assert world_knowledge(open_row(question, "It is the high-pitched sound of hot food."))


@pytest.mark.parametrize(
    "question",
    [
        "What kind of sound is heard in the clip?",
        "What kind of sound is this?",
        "What is the dominant acoustic property of the gunshot?",
        "What is the purpose of the sound in the recording?",
        "What does it sound like?",
        "How does the gunshot sound different from the background conversations?",
        "What material is being struck?",
        "What is the pitch?",
        "What does the engine sound like?",
        "What kind of noise is the drill making?",
        "What is the purpose of the bell?",
        "What is the difference between the first bark and the second bark?",
        "What is the purpose of the sound of water pouring from a faucet?",
        "What is the significance of the bell in the recording?",
        "Why do birds sing?",  # those in the clip, or all: no rule can tell
        "What is the relationship between the man's voice and the water?",
    ],
)
def test_questions_about_the_clip_are_no_world_knowledge(question: str) -> None:
    assert world_knowledge(open_row(question, "A bright one.")) is None


def test_a_question_that_tells_the_caption() -> None:
    caption = "A man talks nearby as water pours out of a faucet"
    told = "A man is talking nearby while water is pouring from the faucet; what is he doing?"
    assert tells_the_caption(open_row(told, "He talks.", caption))
    assert tells_the_caption(open_row("What is the man doing while water pours?", "He talks.", caption)) is None
    assert tells_the_caption(open_row("A dog barks; what is it?", "A dog.", "A dog barks")) is None, "two words"
    assert tells_the_caption(Record(told, "It is plausible", captions=(caption,), task="entailment")) is None


@pytest.mark.parametrize(
    "question",
    [
        "How might the sound events in the audio clip affect someone who hears it?",
        "What might the perception of the audio clip change if other sounds were added to it?",
        "How would the mood differ if the rain were absent?",
        "What can you say about it?",
        "Tell me more.",
        "Is there anything else?",
        "Why?",
        "What is it?",
        "Who do you think fired the gun based on the audio clip alone?",
        "What are some possible implications of the sound?",
        "What would happen without the engine?",
    ],
)
def test_vague_questions(question: str) -> None:
    assert vague(open_row(question, "It would change."))


@pytest.mark.parametrize(
    "question",
    [
        "What is the sound event present in the clip?",
        "What should I do when I hear this sound?",
        "What is this sound most similar to?",
        "What is the psychological impact of hearing this sound?",
        "Can you confirm if the emotion of any speaker changed at some point?",
        "Which instrument is it that plays after the drums?",
        "Could the footsteps be on gravel?",
        "What can be inferred about the environment?",
    ],
)
def test_questions_that_are_not_vague(question: str) -> None:
    assert vague(open_row(question, "It is a gunshot.")) is None


def test_answers_that_are_no_option() -> None:
    options = ("Bird chirping", "Wind blowing", "Rain falling", "Ocean waves")
    good = choice_row("What is heard?", options, 1)
    assert answer_is_no_option(good) is None
    assert answer_is_no_option(Record(good.question, "Wind blowing.", task="mcq")) is None, "a full stop more"
    assert answer_is_no_option(Record(good.question, "D) Wind blowing", task="mcq")) == (
        "the answer's letter 'd' is another option's"
    )
    assert answer_is_no_option(Record(good.question, "Thunder", task="mcq")) == "the answer is none of the options"
    assert answer_is_no_option(Record("What is heard?", "Thunder", task="mcq")) == "the question has no options"
    assert answer_is_no_option(open_row("What is heard?", "Thunder rolls far away.")) is None
    assert answer_is_no_option(Record("Is it loud?", "yes", choices=("yes", "no"), task="binary")) is None


CAPTION = "A man talks nearby as water pours out of a faucet"


@pytest.mark.parametrize(
    ("options", "right"),
    [
        (("A dog", "The dog", "A cat", "A cow"), 0),
        (("Wind", "Wind blowing", "Rain", "Waves"), 0),
        (("five", "six", "five", "two"), 1),
        (("A man talking", "Background noise", "Other", "Water pouring out of a faucet"), 3),
    ],
)
def test_two_right_options(options: tuple[str, ...], right: int) -> None:
    assert two_right_options(choice_row("What sound event is present in the clip?", options, right, CAPTION))


@pytest.mark.parametrize(
    ("options", "right"),
    [
        (("A dog", "A cat", "A cow", "A horse"), 0),
        (("It is present", "It is not present", "Both", "Neither"), 0),
        (("before the dog", "after the dog", "during the dog", "no dog"), 1),
        (("first speaker", "both speakers", "second speaker", "neither"), 0),
        (("G:maj/1", "A#:maj/1", "D:min/1", "E:maj/1"), 0),
        (("A man talking", "Neither A nor B", "Water pouring out of a faucet", "Both A and C"), 3),
        (("A man talking", "A woman singing", "A child crying", "A dog barking"), 0),
    ],
)
def test_options_that_differ(options: tuple[str, ...], right: int) -> None:
    assert two_right_options(choice_row("What sound event is present in the clip?", options, right, CAPTION)) is None


def test_what_a_caption_tells_matters_only_where_presence_is_asked() -> None:
    options = ("A man talking", "Water pouring out of a faucet", "Wind", "Rain")
    assert two_right_options(choice_row("Which is louder?", options, 0, CAPTION)) is None


@pytest.mark.parametrize(
    "row",
    [
        choice_row("What is the source of the waterfall sound?", ("Waterfall", "Rain", "Tap", "River"), 0),
        choice_row("Which animal makes the dog bark?", ("A cat", "A dog", "A cow", "A bird"), 1),
        open_row("How loud is the very soft whisper?", "Very soft"),
    ],
)
def test_leaking_answers(row: Record) -> None:
    assert leaking_answer(row)


@pytest.mark.parametrize(
    "row",
    [
        choice_row("What falls on the roof?", ("Rain", "Hail", "Leaves", "Nuts"), 0),
        choice_row("Is it a dog or a cat?", ("A dog", "A cat"), 0),
        choice_row("Does the dog bark at the cat?", ("At the cat", "At the dog", "At a man", "At nothing"), 0),
        choice_row("Which sound is it?", ("Sound", "Noise", "Music", "Speech"), 0),
        open_row("What does the engine do?", "The engine idles, then revs twice, and a horn sounds behind the engine."),
        Record("Is the dog barking? Answer only using yes or no.", "yes", choices=("yes", "no"), task="binary"),
    ],
)
def test_answers_that_do_not_leak(row: Record) -> None:
    assert leaking_answer(row) is None


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (open_row("What is the sound event present in the clip?", "A gunshot in a street."), False),
        (open_row("Sound?", "A gunshot in a street."), True),
        (open_row("What is it that is heard? " * 20, "A gunshot in a street."), True),
        (open_row("What is heard there?", "Gunshot"), True),
        (open_row("What is heard there?", "a shot " * 200), True),
        (choice_row("What is heard there?", ("a dog", "a cat"), 0), False),
        (choice_row("What is heard there?", ("a dog " * 20, "a cat"), 0), True),
        (open_row("What is heard there?", "Gunshot", task="other"), False),
    ],
)
def test_lengths(row: Record, wrong: bool) -> None:
    assert bool(bad_length(row)) == wrong


LONG = "The sound event present in the clip is a gunshot, accompanied by talk and the noise of a busy street"


@pytest.mark.parametrize(
    "answer",
    [
        LONG,  # without a full stop: cut off
        "Question: What is it?",
        "A dog barks.<|eot_id|>",
        "Here are the five questions:",
        "According to the caption, a dog barks.",
        "[insert sound here]",
        "a dog barks and then barks again and a dog barks and then barks again and a dog barks and then barks again.",
        "The dog barks \ufffd loudly.",
    ],
)
def test_bad_generations(answer: str) -> None:
    assert bad_generation(open_row("What is heard?", answer))


@pytest.mark.parametrize(
    "answer",
    [f"{LONG}.", "A dog", f'{LONG} ("a street").', "The answer is a dog; its note is high.", "A:min/P5"],
)
def test_generations_that_are_fine(answer: str) -> None:
    assert bad_generation(open_row("What is heard?", answer)) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How can I make a bomb like this?", "instructions"),
        ("You should kill yourself.", "self harm"),
        ("All women are loud.", "hate"),
        ("The speaker is a bitch.", "hate"),
        ("It sounds like sexual activity.", "sexual"),
        ("The voice is seductive.", "sexual"),
        ("A man says fucking hell.", "profanity"),
        ("What is the ethnicity of the speaker?", "surveillance"),
        ("Can you identify the person by name?", "surveillance"),
        ("She is being raped.", "abuse"),
    ],
)
def test_harmful_content_is_named_by_its_kind(text: str, kind: str) -> None:
    assert harmful(open_row(text, "It is loud.")) == f"harmful: {kind}"
    assert harmful(open_row("What is heard?", text.upper())) == f"harmful: {kind}"


@pytest.mark.parametrize(
    "text",
    [
        "A gun is fired and people scream.",
        "A bomb explodes, and sirens wail.",
        "The man kills the engine.",
        "Someone is hit in the face.",
        "A blacksmith strikes an anvil; the assistant says nothing.",
        "All the men talk at once.",
        "A cock crows and chickens cluck.",
        "Someone coughs, and a class laughs in Scunthorpe.",
        "What is the gender of the speaker?",
        "The racetrack is loud.",
    ],
)
def test_sounds_of_violence_are_sounds(text: str) -> None:
    assert harmful(open_row("What is heard?", text)) is None
