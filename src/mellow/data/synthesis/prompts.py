"""The prompts: data files with a version, so that every pair can name the words it was made with.

`prompts/general-mcq@1.toml` and its like hold all that a language model is sent. A file that pairs were made with is
never changed: a better prompt is a new version.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, get_args

from mellow.errors import DataError

__all__ = [
    "Form",
    "Kind",
    "Messages",
    "PromptTemplate",
    "Style",
    "parse_template",
    "prompt_template",
    "prompt_versions",
]

Style = Literal["general", "expert"]
Kind = Literal["mcq", "detail"]
Form = Literal["json", "text"]  # in which the language model is told to answer
Messages = list[dict[str, str]]

NAME = re.compile(r"(?P<style>[a-z]+)-(?P<kind>[a-z]+)@(?P<version>[1-9][0-9]*)\.toml")
SLOT = re.compile(r"\{(\w+)\}")
SLOTS: dict[str, list[str]] = {"system": [], "user": ["caption"], "json": [], "text": []}


@dataclass(frozen=True)
class PromptTemplate:
    """What a language model is told, so that it writes five pairs about the clip of a caption.

    system: the task; user: the caption in its slot; json, text: how to write the answer, one of which ends the task.
    """

    style: Style
    kind: Kind
    version: int
    system: str
    user: str
    json: str
    text: str

    @property
    def name(self) -> str:
        """Without the version, as provenance tells it: `expert-mcq`."""
        return f"{self.style}-{self.kind}"

    def messages(self, caption: str, form: Form) -> Messages:
        """The conversation about one caption, whose own braces are text."""
        task = f"{self.system}\n\n{self.json if form == 'json' else self.text}"
        return [
            {"role": "system", "content": task},
            {"role": "user", "content": self.user.replace("{caption}", caption)},
        ]


@cache
def prompt_versions(style: Style, kind: Kind) -> tuple[int, ...]:
    """The versions of a prompt that the package holds, oldest first."""
    names = (NAME.fullmatch(entry.name) for entry in _folder().iterdir())
    return tuple(sorted(int(name["version"]) for name in names if name and name.group(1, 2) == (style, kind)))


@cache
def prompt_template(style: Style, kind: Kind, version: int | None = None) -> PromptTemplate:
    """A prompt of the package, the newest version unless one is named; DataError where there is no such."""
    versions = prompt_versions(style, kind)
    if version is not None and version not in versions:
        known = ", ".join(map(str, versions)) or "none"
        raise DataError(f"The prompt {style}-{kind} has no version {version}; use one of: {known}.")
    name = f"{style}-{kind}@{version or versions[-1]}.toml"
    return parse_template((_folder() / name).read_text(encoding="utf-8"), name=name)


def parse_template(text: str, *, name: str) -> PromptTemplate:
    """Read a prompt file called `name`; DataError where a part or a slot is missing, unknown or unlike the name."""
    try:
        parts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: not TOML ({error}).") from None
    expected = {f.name for f in fields(PromptTemplate)}
    if wrong := sorted(expected ^ set(parts)):
        raise DataError(f"{name}: the part {wrong[0]!r} is {'missing' if wrong[0] in expected else 'unknown'}.")
    if parts["style"] not in get_args(Style) or parts["kind"] not in get_args(Kind):
        raise DataError(f"{name}: style and kind must be of {', '.join(get_args(Style) + get_args(Kind))}.")
    if name != f"{parts['style']}-{parts['kind']}@{parts['version']}.toml":
        raise DataError(f"{name}: style, kind and version are not those of the file's name.")
    for part, slots in SLOTS.items():
        if not isinstance(parts[part], str) or not parts[part].strip():
            raise DataError(f"{name}: the part {part!r} is not a text.")
        if (found := SLOT.findall(parts[part])) != slots:
            wanted = "one slot {caption}" if slots else "no slots"
            raise DataError(f"{name}: the part {part!r} must have {wanted}, not {found}.")
    return PromptTemplate(**{part: value.strip() if part in SLOTS else value for part, value in parts.items()})


def _folder() -> Traversable:
    return files("mellow.data.synthesis") / "prompts"
