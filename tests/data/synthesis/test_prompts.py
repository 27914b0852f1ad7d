"""The prompts are whole, versioned, never changed once used, and shown in the docs as they are."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from mellow.data.synthesis.prompts import Kind, Style, parse_template, prompt_template, prompt_versions
from mellow.errors import DataError

ALL = [(style, kind) for style in get_args(Style) for kind in get_args(Kind)]
FOLDER = files("mellow.data.synthesis") / "prompts"
# Pairs name the version of their prompt: do not change a line here, add one for a new version.
FROZEN = {
    "expert-detail@1.toml": "0f387ec1a6364610",
    "expert-mcq@1.toml": "00cafa20ee68081d",
    "general-detail@1.toml": "e00d7869c8cb1e62",
    "general-mcq@1.toml": "061c158366434a28",
}
GOOD = (FOLDER / "general-mcq@1.toml").read_text(encoding="utf-8")


def test_a_version_never_changes() -> None:
    texts = {entry.name: entry.read_text(encoding="utf-8") for entry in FOLDER.iterdir()}
    assert {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()} == FROZEN


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_every_style_and_kind_has_a_prompt(style: Style, kind: Kind) -> None:
    template = prompt_template(style, kind)
    assert (template.style, template.kind, template.version) == (style, kind, prompt_versions(style, kind)[-1])
    for form in ("json", "text"):
        system, user = template.messages("A {caption} of {braces}", form)
        assert (system["role"], user["role"]) == ("system", "user")
        assert "five" in system["content"]
        assert user["content"].endswith("A {caption} of {braces}")
    assert "{caption}" not in template.messages("rain", "json")[1]["content"]
    assert '{"pairs":' in template.messages("rain", "json")[0]["content"]
    assert '{"pairs":' not in template.messages("rain", "text")[0]["content"]


@pytest.mark.parametrize("topic", ["event", "material", "loud", "nearer", "setting", "steady", "feeling"])
def test_the_expert_prompt_has_what_the_paper_names(topic: str) -> None:
    for kind in get_args(Kind):
        assert topic in prompt_template("expert", kind).system.lower()


def test_an_unknown_version() -> None:
    with pytest.raises(DataError, match=r"general-mcq has no version 99; use one of: 1\."):
        prompt_template("general", "mcq", 99)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{caption}", "the caption", "must have one slot"),
        ("{caption}", "{caption} {caption}", "must have one slot"),
        ("{caption}", "{text}", "must have one slot"),
        ("You write", "{caption} You write", "no slots"),
        ('kind = "mcq"', 'kind = "detail"', "not those of the file's name"),
        ("version = 1", "version = 2", "not those of the file's name"),
        ('kind = "mcq"', 'kind = "essay"', "style and kind"),
        ("system =", "sistem =", "'sistem' is unknown|'system' is missing"),
        ("version = 1", "version = ", "not TOML"),
        ("version = 1", "version = 1\nmore = 2", "'more' is unknown"),
    ],
)
def test_a_broken_prompt_file(old: str, new: str, message: str) -> None:
    parse_template(GOOD, name="general-mcq@1.toml")
    with pytest.raises(DataError, match=message):
        parse_template(GOOD.replace(old, new, 1), name="general-mcq@1.toml")


def test_an_empty_part() -> None:
    start = GOOD.index('user = """')
    with pytest.raises(DataError, match="'user' is not a text"):
        parse_template(GOOD[:start] + 'user = " "\n' + GOOD[GOOD.index('json = """') :], name="general-mcq@1.toml")


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_the_docs_print_the_prompts(style: Style, kind: Kind, root: Path) -> None:
    page = " ".join((root / "docs" / "synthesis.md").read_text(encoding="utf-8").split())
    template = prompt_template(style, kind)
    for text in (template.system, template.user, template.json, template.text):
        assert " ".join(text.split()) in page
