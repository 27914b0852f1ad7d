"""Records from captions alone: one clip described, two clips, and whether a caption fits."""

from __future__ import annotations

from collections import Counter

from mellow.data.captions.tasks import maker_of
from mellow.data.records import CaptionedClip, Record
from mellow.data.sources.published import from_published, to_published
from mellow.data.wording import roots

SOUNDS = ("dog barks", "rain pours", "engine idles", "children laugh", "bell rings", "wind howls")


def clips(count: int = 60, source: str = "clotho") -> list[CaptionedClip]:
    return [
        CaptionedClip(
            f"ClothoV21/development/{n}.wav", (f"A {SOUNDS[n % 6]}", f"The {SOUNDS[n % 6]} again."), source,
            "train", "CC",
        )
        for n in range(count)
    ]  # fmt: skip


def made(*tasks: str, seed: int = 1, count: int = 60) -> list[Record]:
    make = maker_of(tasks, seed=seed)  # type: ignore[arg-type]
    return [record for clip in clips(count) for record in make(clip)]


def test_a_question_for_each_caption_as_the_paper_counts() -> None:
    records = made("caption", count=3)
    assert [record.answer for record in records] == [caption for clip in clips(3) for caption in clip.captions]
    assert {record.question for record in records} == {"caption the audio"}
    first = records[0]
    assert (first.subtype, first.task, first.source, first.licence) == ("Clotho.json", "caption", "clotho", "CC")
    assert first.captions == (first.answer,)


def test_captions_to_the_published_format_and_back_without_loss() -> None:
    for record in made("caption", count=3):
        row = to_published(record)
        assert row["taskname"] == "clothov21"
        back = from_published(row, split="train", where="", licence="CC", provenance={})
        assert back == record


def test_pairs_ask_about_one_or_both_of_two_clips_and_answer_about_that_one() -> None:
    records = made("pairs")
    assert len(records) == 30
    assert len({record.audio for record in records}) == 30
    asked = Counter(record.question for record in records)
    assert set(asked) == {"caption first audio", "caption second audio", "caption both audios"}
    by_audio = {clip.audio: clip.captions for clip in clips()}
    for record in records:
        one, two = record.captions
        assert one in by_audio[record.audio[0]]
        assert two in by_audio[record.audio[1]]
        if record.question == "caption both audios":
            assert record.answer == f"Audio 1: {one.rstrip('.')}. Audio 2: {two.rstrip('.')}."
        else:
            assert record.answer == (one if "first" in record.question else two)


def test_a_caption_fits_its_clip_and_not_one_without_a_common_word() -> None:
    records = made("match")
    assert Counter(record.answer for record in records) == {"yes": 59, "no": 59}
    by_caption = {caption: clip for clip in clips() for caption in clip.captions}
    for record in records:
        text = record.question.split('"')[1]
        assert record.choices == ("yes", "no")
        if record.answer == "yes":
            assert text in record.captions
        else:
            assert not roots(text) & roots(" ".join(record.captions))
            assert by_caption[text].audio != record.audio[0]


def test_equal_seeds_give_equal_records_and_others_do_not() -> None:
    tasks = ("caption", "pairs", "match")
    assert made(*tasks) == made(*tasks)
    assert made(*tasks) != made(*tasks, seed=2)
