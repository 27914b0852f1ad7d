"""What an audit measures, on small data sets whose numbers are known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from mellow.data.audit import audit, sections_beside, to_json, to_markdown
from mellow.data.gate import gate
from mellow.data.measures.base import clip_name
from mellow.data.measures.benchmarks import Benchmarks
from mellow.data.measures.conflicts import Conflicts
from mellow.data.measures.foci import FOCI, focus_of
from mellow.data.measures.leakage import Captions, Names
from mellow.data.measures.people import People
from mellow.data.measures.places import Places
from mellow.data.measures.recordings import Recordings, fingerprint
from mellow.data.measures.similar import minhash, nearest
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.tally import Tally, key_of
from mellow.errors import DataError


def row(question: str = "What is heard?", answer: str = "A dog barks.", clip: str = "a.wav", **fields: Any) -> Record:
    return Record(question, answer, (clip,) if clip else (), **{"task": "detail", **fields})


def seen(measure: Any, rows: Iterable[Record]) -> dict[str, Any]:
    """Show rows to a measure; the rows of its first section."""
    for one in rows:
        measure.observe(one)
    return {name: dict(values) for name, values in measure.sections()[0].rows.items()}


# --- counting by the million ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=60))
def test_a_tally_counts(keys: list[int]) -> None:
    tally = Tally()
    for key in keys:
        tally.add(key)
    found = dict(zip(*(part.tolist() for part in tally.counts()), strict=True))
    assert found == {key: keys.count(key) for key in keys}
    assert (len(tally), tally.total()) == (len(set(keys)), len(keys))


def test_a_tally_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mellow.data.tally.BLOCK", 7)
    tally = Tally()
    for number in range(1000):
        tally.add(number % 97)
    assert len(tally) == 97 and tally.counts()[1].max() == 11


def test_keys_tell_texts_and_their_borders_apart() -> None:
    assert len({key_of("a", "b"), key_of("ab"), key_of("a\0b", ""), key_of("b", "a")}) == 4


# --- leakage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("AudioCaps/test/YabC.wav", "YabC"),
        ("YabC", "YabC"),
        ("ClothoAQA\\audio_files\\Munich Cathedral.wav", "Munich Cathedral"),
        ("a.b.001.flac", "a.b.001"),
        ("FR.CTC.08.CoyuyoS.001.wav", "FR.CTC.08.CoyuyoS.001"),
    ],
)
def test_names_of_clips(path: str, name: str) -> None:
    assert clip_name(path) == name


def test_clips_in_two_splits_by_name() -> None:
    rows = [row(clip=f"train/{n}.wav", split="train", source="clotho") for n in range(10)]
    rows += [row(clip=f"other/{n}.flac", split="test", source="clothoaqa") for n in (8, 9, 10, 11)] * 3
    found = seen(Names(), rows)
    assert found["train and test"] == {"clips": 4, "in both": 2, "share": 0.5}
    assert found["train clotho and test clothoaqa"]["in both"] == 2


def test_captions_in_two_splits() -> None:
    known = "a large dog barks loudly while rain falls on a tin roof and thunder rolls in the far distance"
    near, far = known.replace("far", "near"), "a choir sings an old hymn in a stone church as people cough and sit down"
    rows = [row(clip="a", captions=(known, far), split="train"), row(clip="b", captions=(near, "A cow"), split="test")]
    rows.append(row(clip="c", captions=(far.upper() + "!",), split="test"))
    captions = Captions()
    found = seen(captions, rows)
    assert found == {"train and test": {"captions": 3, "equal": 1, "nearly": 1, "share": 0.6667}}
    for one in rows:
        captions.look(one)
    assert captions.sections()[0].examples == (f"{near!r} and {known!r}",)


def test_minhash_estimates_how_much_is_shared() -> None:
    rng = random.Random(0)
    vocabulary = [f"w{n}" for n in range(3000)]
    texts = [" ".join(rng.sample(vocabulary, 14)) for _ in range(400)]
    close = [text.replace(text.split()[0], "other", 1) for text in texts]
    found = nearest(np.stack([minhash(text) for text in close]), np.stack([minhash(text) for text in texts]))
    assert all(place in (None, number) for number, place in enumerate(found)), "never another one"
    assert sum(place is not None for place in found) > 300
    assert nearest(np.stack([minhash("")]), np.stack([minhash(text) for text in texts])) == [None]


def noise(seed: int, seconds: float = 3.0, rate: int = 16_000) -> np.ndarray:
    """Bursts of coloured noise, different for each seed."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal(int(seconds * rate)).astype(np.float32)
    envelope = np.repeat(rng.uniform(0.01, 1, 20), len(wave) // 20 + 1)[: len(wave)]
    return np.asarray(0.1 * np.convolve(wave, rng.standard_normal(8), "same") * envelope, np.float32)


def test_fingerprints_know_a_recording_again() -> None:
    def apart(one: np.ndarray, other: np.ndarray) -> float:
        first, second = fingerprint(one), fingerprint(other)
        assert first is not None and second is not None
        return float(np.unpackbits(first ^ second).mean())

    wave = noise(1)
    assert apart(wave, 0.2 * wave) < 0.02
    assert apart(wave, wave + 0.001 * noise(2)) < 0.15
    assert min(apart(wave, noise(seed)) for seed in range(2, 12)) > 0.35
    assert fingerprint(np.zeros(16_000, np.float32)) is None
    assert fingerprint(wave[:100]) is None


def test_recordings_in_two_splits(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1), 16_000)
    soundfile.write(tmp_path / "b.wav", noise(2), 16_000)
    (tmp_path / "same.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    soundfile.write(tmp_path / "again.ogg", 0.5 * noise(2), 16_000)
    soundfile.write(tmp_path / "new.wav", noise(3), 16_000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    rows = [row(clip=name, split="train") for name in ("a.wav", "b.wav")]
    rows += [
        row(clip=name, split="test") for name in ("same.wav", "again.ogg", "new.wav", "broken.wav", "gone.wav")
    ] * 2
    measure = Recordings(tmp_path)
    found = seen(measure, rows)
    assert found == {"train and test": {"clips": 4, "equal files": 1, "near-duplicates": 1, "share": 0.5}}
    assert "Of 7 clips 6 are on disk (1 are not, 1 cannot be read)" in measure.sections()[0].note


# --- answers ----------------------------------------------------------------------------------------------------------


def test_conflicts_and_their_ceiling() -> None:
    """Three annotators: all agree, two of three, and two rows of one who is alone."""
    said = [("x", "yes yes yes"), ("y", "yes no no"), ("z", "yes no")]
    rows = [
        row("Is it loud?", answer, clip, choices=("yes", "no"), task="binary")
        for clip, answers in said
        for answer in answers.split()
    ]
    found = seen(Conflicts(), [*rows, row()])
    assert found == {"binary, train": {"rows": 8, "questions": 3, "conflicting": 0.6667, "ceiling": 0.75}}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40))
def test_the_ceiling_is_that_of_the_most_frequent_answers(pairs: list[tuple[int, int]]) -> None:
    rows = [row(f"Is it {q}?", "abc"[a], choices=("a", "b", "c"), task="mcq") for q, a in pairs]
    best = sum(max([a for p, a in pairs if p == q].count(a) for _, a in pairs) for q in {q for q, _ in pairs})
    assert seen(Conflicts(), rows)["mcq, train"]["ceiling"] == pytest.approx(best / len(pairs), abs=1e-4)


def test_places_of_the_right_option() -> None:
    rows = [row("Which?", answer, choices=("a", "b", "c", "d"), task="mcq") for answer in "aaabbcda"]
    found = seen(Places(), rows)["mcq, 4 options"]
    assert found == {"rows": 8, "even": 0.25, "excess": 0.25, "A": 0.5, "B": 0.25, "C": 0.125, "D": 0.125}


@pytest.mark.parametrize(
    ("question", "focus"),
    [
        ("What is the sound event present in the clip?", "event"),
        ("What is the material of the object making the sound?", "object"),
        ("Which instrument plays?", "object"),
        ("Where was it recorded, indoors or outdoors?", "scene"),
        ("What is the dominant acoustic property of the gunshot?", "signal"),
        ("How loud is the engine?", "signal"),
        ("Why does the dog bark?", "semantics"),
        ("What is the relationship between the voice and the water?", "semantics"),
        ("What should I do when I hear this sound?", "listener_emotion"),
        ("How does this sound make you feel?", "listener_emotion"),
        ("Quo vadis?", "other"),
    ],
)
def test_foci(question: str, focus: str) -> None:
    assert focus_of(question) == focus
    assert focus in (*FOCI, "other")


def test_how_people_are_spoken_of() -> None:
    rows = [
        row(answer="A man is speaking calmly.", captions=("A man talks",)),
        row(answer="The woman laughs.", captions=("Someone laughs",)),
        row(answer="A boy is crying.", captions=("A child cries",)),
        row(answer="A dog barks.", captions=("A woman and a dog",)),
    ]
    found = seen(People(), rows)
    assert (found["men"]["rows"], found["women"]["rows"], found["children"]["rows"]) == (2, 1, 1)
    assert found["men"]["not in the caption"] == 0.5  # the boy
    assert found["women"]["in captions"] == 0.25 and found["women"]["words that follow"] == "laughs"
    assert "speaking" in found["men"]["words that follow"]


def test_overlap_with_mmau(shared: Callable[[str], Path]) -> None:
    rows = [
        row(source="audiocaps"),
        row(source="clotho_aqa_train"),
        row(source="mine"),
        row(source="meld", split="test"),
    ]
    found = seen(Benchmarks(), rows)
    assert found["audiocaps"]["items"] == 215 + 37
    assert found["clotho_aqa"]["corpora shared with MMAU"] == "Clotho"
    assert found["mine"]["share of MMAU"] == 0 and "meld" not in found
    items = json.loads(shared("text/mmau/mmau-test-mini.v05.15.25.json").read_text())
    listed = {name: sum(item["dataset"] == name for item in items) for name in {item["dataset"] for item in items}}
    from mellow.data.measures.benchmarks import _corpora

    assert {name: count for name, (count, _) in _corpora().items()} == listed


# --- the gate ---------------------------------------------------------------------------------------------------------


def closed_rows(leak: bool) -> list[Record]:
    rng = random.Random(0)
    rows = []
    for number in range(900):
        options = [f"{rng.choice('abcdefgh')}{rng.randrange(9)}" for _ in range(4)]
        right = rng.randrange(4)
        options[right] = options[right] + ("q" if leak else "")
        split = "train" if number < 600 else "test"
        if len(set(options)) == 4:
            rows.append(row("Which?", options[right], f"{number}", choices=tuple(options), task="mcq", split=split))
    return rows


def test_the_gate_lets_pass_what_text_does_not_answer() -> None:
    (found,) = gate(closed_rows(leak=False))
    assert (found.trained == "training rows" and abs(found.above) < 0.09) or found.above < 0.05


def test_the_gate_refuses_what_text_answers_unless_it_is_allowed() -> None:
    rows = [
        row("Which?", "a dog", f"{n}", choices=options, task="mcq")
        for n in range(300)
        for options in [("a dog", f"x{n}", f"y{n}", f"z{n}") if n % 2 else (f"x{n}", f"y{n}", "a dog", f"z{n}")]
    ]
    with pytest.raises(
        DataError, match=r"100\.0% of the mcq questions are answered by their text alone \(chance 25\.0%"
    ):
        gate(rows)
    (found,) = gate(rows, allow=["mcq"])
    assert found.row.accuracy == 1.0 and found.trained == "other clips"
    assert gate(rows[:40]) == [], "too few rows to say anything"


# --- the whole --------------------------------------------------------------------------------------------------------


def small() -> list[Record]:
    rows = [row(f"What does sound {n} do in the clip?", "It rises and falls.", f"{n}.wav") for n in range(30)]
    rows.append(row("What is the pitch?", "It is unknown.", "r.wav"))
    rows.append(row("How high is the tone in the clip?", "It is at 440 Hz throughout.", "h.wav"))
    return rows


def test_an_audit_tells_rates_and_keeps_rejected_rows(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    sections = audit(small, rejected=tmp_path / "bad.jsonl", progress=lambda *call: calls.append(call))
    found = to_json(sections)
    assert found["filters"]["rows"]["refusal"]["all"] == pytest.approx(1 / 32, abs=1e-4)
    assert found["filters"]["rows"]["number without source"]["detail"] == pytest.approx(1 / 32, abs=1e-4)
    assert found["filters"]["rows"]["any of them"]["all"] == pytest.approx(1 / 32, abs=1e-4)
    rejected = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [[fault["filter"] for fault in one["faults"]] for one in rejected] == [
        ["refusal"],
        ["number without source"],
    ]
    assert calls[-1] == ("Filters", 32, 32)
    assert json.loads(json.dumps(found)) == found


def test_an_audit_does_not_depend_on_the_order_of_rows() -> None:
    one, other = audit(small), audit(lambda: small()[::-1])
    assert [section.rows for section in one] == [section.rows for section in other]


def test_nothing_cannot_be_audited() -> None:
    with pytest.raises(DataError, match="no records"):
        audit(list)


def test_two_data_sets_side_by_side() -> None:
    one, other = audit(small), audit(lambda: [row(task="caption", subtype="Clotho.json", source="clotho")])
    sections = {section.key: section for section in sections_beside([one, other], ["ours", "theirs"])}
    assert (
        sections["filters"].cell("refusal", "ours") == "3.1%"
        and sections["filters"].cell("refusal", "theirs") == "0.0%"
    )
    assert set(sections["overview"].rows) == {"detail (ours)", "Clotho (theirs)"}
    text = to_markdown("Both", list(sections.values()))
    assert text.startswith("# Both\n") and "| refusal | 3.1% | 0.0% |" in text


def test_sections_as_markdown() -> None:
    section = Section(
        "k", "Title", {"a|b": {"n": 1234, "s": 0.5}, "c": {"t": "x\ny"}}, frozenset({"s"}), "Note.", ("one",)
    )
    assert section.cell("a|b", "n") == "1,234" and section.cell("c", "n") == ""
    made = to_markdown("T", [section])
    assert "| a\\|b | 1,234 | 50.0% |  |" in made and "| c |  |  | x y |" in made and "- one" in made
