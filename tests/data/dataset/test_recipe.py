"""Recipes of data sets: what cannot be meant is refused with one sentence; those that we ship are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from mellow.data.dataset.recipe import read_dataset_recipe
from mellow.data.sources.spec import paper_counts, sources
from mellow.errors import RecipeError

GOOD = "output: out\nsources: [{source: clotho}]\n"


def test_the_shipped_recipe(root: Path) -> None:
    recipe = read_dataset_recipe(root / "recipes/data/reasonaqa.yaml")
    named = {source.source for source in recipe.sources}
    assert named == {"clotho", "audiocaps", "clotho_aqa", "entailment", "difference", "records"}
    counts = {source.source: source.captions_per_clip for source in recipe.sources}
    paper = paper_counts()["AudioCaps.json"].captions_per_clip
    assert counts["audiocaps"] == {split: paper[split] for split in ("val", "test")}
    assert set(recipe.reasons) <= {name.removesuffix(".json") for name in paper_counts()}
    assert named - {"records"} <= set(sources())


def test_settings_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD + "root: tables\n")
    recipe = read_dataset_recipe(path, root=None, audio_root="clips", output="other")
    assert (recipe.root, recipe.audio_root, recipe.output) == ("tables", "clips", "other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("output: out\n", "wrong at sources"),
        ("output: out\nsources: []\n", "wrong at sources"),
        (GOOD + "colour: red\n", "wrong at colour"),
        ("output: out\nsources: [{source: cloto}]\n", "the source 'cloto' is unknown; use audiocaps,"),
        ("output: out\nsources: [{source: records}]\n", "a source 'records' needs files"),
        ("output: out\nsources: [{source: table, files: [a.csv]}]\n", "a table needs columns"),
        ("output: out\nsources: [{source: table, files: [a.csv], columns: {sound: x}}]\n", "the columns are wrong"),
        ("output: out\nsources: [{source: table, files: [a.csv], columns: {audio: x}}]\n", "a column captions"),
        ("output: out\nsources: [{source: clotho, tasks: [sing]}]\n", "wrong at sources.0.tasks.0"),
        (GOOD + "absent_audio: require\n", "absent_audio: require needs an audio_root"),
        (GOOD + "absent_audio: drop\naudio_root: x\n", "wrong at absent_audio"),
        (GOOD + "mixture: type5\n", "wrong at mixture"),
        (GOOD + "shares: {CLE: 2}\n", "wrong at shares.CLE"),
        (GOOD + "filters: {skip: [spam]}\n", "There is no filter 'spam' to skip"),
        (GOOD + "filters: {colour: red}\n", "There is no filter setting 'colour'"),
        (GOOD + "filtered_tasks: [poems]\n", "wrong at filtered_tasks.0"),
        (GOOD + "clips: {dev: x.txt}\n", "wrong at clips.dev"),
        ("a: [", "is not YAML"),
        ("just text", "wrong at its top level"),
    ],
)
def test_bad_recipes(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_dataset_recipe(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"The recipe {path} is ")
    assert message.endswith(".")
    assert ".." not in message
    assert "\n" not in message


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no recipe"):
        read_dataset_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not UTF-8 text"):
        read_dataset_recipe(tmp_path / "binary.yaml")
