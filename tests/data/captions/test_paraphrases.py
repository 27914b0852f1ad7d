"""Special inputs become paraphrases: by seed, epoch and row alone, every paraphrase once before any comes again."""

from __future__ import annotations

import re

import pytest

from mellow.data.captions.paraphrases import load_paraphrases, paraphrase, paraphrases
from mellow.data.sources.published import TIERS
from mellow.errors import DataError

SPECIAL = sorted(paraphrases())


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def test_every_special_input_of_the_published_format_has_paraphrases() -> None:
    inputs = {*TIERS, "caption first audio", "caption second audio", "caption both audios"}
    assert inputs <= set(SPECIAL)


@pytest.mark.parametrize("special", SPECIAL)
def test_there_are_at_least_sixty_and_no_two_are_alike(special: str) -> None:
    texts = paraphrases()[special]
    assert len({plain(text) for text in texts}) == len(texts) >= 60
    others = {plain(text) for other in SPECIAL if other != special for text in paraphrases()[other]}
    assert not others & {plain(text) for text in texts}


@pytest.mark.parametrize("special", SPECIAL)
def test_they_vary_in_length_case_and_tone(special: str) -> None:
    texts = paraphrases()[special]
    words = sorted(len(text.split()) for text in texts)
    assert words[0] <= 8
    assert words[-1] >= 9
    assert sum(text[0].islower() for text in texts) >= 3
    assert sum("?" in text for text in texts) >= 10
    assert sum("please" in text.lower() for text in texts) >= 3


SHORT = r"few|short|brief|concise|gist|terse|nutshell|no long|little time|quick|words"
BOTH = r"both|each|two\b|either|first.*second|audio 1.*audio 2|clip 1.*(2|another)"


@pytest.mark.parametrize(
    ("special", "said", "unsaid"),
    [
        ("caption first audio", r"first|audio 1|clip 1|one\b", r"audio 2|clip 2|both|each"),
        ("caption second audio", r"second|audio 2|clip 2|two\b", r"audio 1|clip 1|both|each"),
        ("caption both audios", BOTH, r"difference|differ"),
        ("caption the audio", r"", r"first|second|both|audio [12]|clip [12]|two\b"),
        ("explain the difference in a sentence", r"sentence", r"long|extended|detail"),
        ("explain the difference in one extended sentence", r"sentence", r"in detail|few words"),
        ("explain the difference in few words", SHORT, r"sentence|detail"),
        ("explain the difference in detail", r"", r"\bsentence\b|few words|brief answer"),
    ],
)  # fmt: skip
def test_they_keep_which_clip_is_meant_and_how_detailed_the_answer_is_to_be(
    special: str, said: str, unsaid: str
) -> None:
    allowed = {"Ignore the second audio and caption the first.", "Skip the first audio and caption the second."}
    for text in paraphrases()[special]:
        assert re.search(said, text.lower()), text
        assert text in allowed or not re.search(unsaid, text.lower()), text


def test_other_questions_stay_as_they_are() -> None:
    for text in (
        "What is it?",
        "",
        "caption first audio, then dance",
        "Explain the difference between the two audios.",
    ):
        assert paraphrase(text, seed=1, epoch=2, row=3) == text


@pytest.mark.parametrize("special", SPECIAL)
def test_a_row_gets_every_paraphrase_once_before_one_comes_again(special: str) -> None:
    texts = paraphrases()[special]
    for row in range(20):
        drawn = [paraphrase(special, seed=1, epoch=epoch, row=row) for epoch in range(len(texts))]
        assert sorted(drawn) == sorted(texts)
        assert paraphrase(special, seed=1, epoch=len(texts), row=row) == drawn[0]


def test_rows_and_seeds_draw_evenly() -> None:
    drawn = [paraphrase("caption first audio", seed=1, epoch=0, row=row) for row in range(6400)]
    counts = {text: drawn.count(text) for text in paraphrases()["caption first audio"]}
    assert min(counts.values()) > 60
    assert max(counts.values()) < 145
    again = [paraphrase("caption first audio", seed=2, epoch=0, row=row) for row in range(6400)]
    assert sum(a == b for a, b in zip(drawn, again, strict=True)) < 250


def test_an_input_is_known_with_a_full_stop_and_in_any_case() -> None:
    expected = paraphrase("explain the difference in detail", seed=1, epoch=2, row=3)
    assert paraphrase("Explain the difference in detail.", seed=1, epoch=2, row=3) == expected


def test_the_draw_is_the_same_on_every_machine() -> None:
    drawn = paraphrase("caption both audios", seed=7, epoch=3, row=11)
    assert drawn == "Produce a fitting caption of each recording."


GOOD = [f"Say it in way number {n}." for n in range(60)]


def table(**sections: list[str]) -> str:
    return "".join(f"[{name}]\nparaphrases = {texts!r}\n" for name, texts in sections.items())


def test_a_good_table_is_read() -> None:
    assert load_paraphrases(table(a=GOOD)) == {"a": tuple(GOOD)}


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"a": GOOD[:59]}, "59 paraphrases; write at least 60"),
        ({"a": [*GOOD, GOOD[3]]}, "stands twice"),
        ({"a": [*GOOD, GOOD[3].upper()]}, "case or full stop"),
        ({"a": GOOD, "b": [*GOOD[1:], "Another.", "Yet another."]}, "stands twice"),
        ({"a": [*GOOD, "Describe {clip}."]}, "a slot"),
        ({"a": [*GOOD, " Say it."]}, "blanks"),
        ({"a": [*GOOD, ""]}, "empty"),
    ],
)
def test_a_bad_table_is_refused(sections: dict[str, list[str]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_paraphrases(table(**sections))
