"""Which sounds may hide in one another, so that one of them must never be called absent while the other is heard.

A clip labelled "dog" may well hold a "bark", a "vehicle" may be a "car", and a cafe is full of voices. Kin is a
symmetric relation between keys: hand-written families (`families.txt`), broad names with the categories below them,
and shared words.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.words import content, word_set

__all__ = ["Kin"]

FAMILIES: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in (files("mellow.data.tasks") / "families.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)

_VOICES = ("human voice", "crowd")
_INDOORS = (*_VOICES, "human action", "human body", "kitchen", "household", "music", "electronic", "machine", "door")
_CITY = (*_VOICES, "human action", "vehicle", "engine", "machine", "tool", "impact", "alarm", "place", "weather")
_COUNTRY = ("bird", "insect", "animal", "nature", "weather", "water", "place")
COUNTRY_WORDS = word_set("rural natural nature jungle night forest field farm garden park beach village meadow")
BROAD: Mapping[str, tuple[str, ...]] = {
    "animal": ("animal", "bird", "insect"), "wild_animals": ("animal", "bird"), "domestic_animals": ("animal", "bird"),
    "livestock": ("animal", "bird"), "bird": ("bird",), "bird_vocalization": ("bird",), "insect": ("insect",),
    "musical_instrument": ("music instrument", "music", "bell"), "orchestra": ("music instrument",),
    "vehicle": ("vehicle", "engine"), "motor_vehicle": ("vehicle", "engine"),
    "engine": ("vehicle", "engine", "machine"),
    "traffic_noise": ("vehicle", "engine"), "mechanisms": ("machine", "engine", "tool"), "tools": ("tool", "machine"),
    "power_tool": ("tool", "engine"), "alarm": ("alarm", "electronic", "bell"), "water": ("water",),
    "liquid": ("water",),
    "crowd": _VOICES, "hubbub": _VOICES, "chatter": _VOICES, "children_playing": _VOICES,
    "cacophony": (*_INDOORS, *_CITY),
    "television": (*_VOICES, "music"), "radio": (*_VOICES, "music"), "field_recording": _COUNTRY,
    "noise": ("noise", "machine", "engine", "weather"), "environmental_noise": ("noise", *_CITY, *_COUNTRY),
    "sound_effect": ("electronic", "impact"), "construction_site": ("tool", "machine", "engine", "impact"),
    "echo": ("place", "noise"), "reverberation": ("place", "noise"), "hands": ("human action", "human body"),
}  # fmt: skip
LIKE: Mapping[str, tuple[str, ...]] = {
    "music": ("music", "music instrument"),
    "engine": ("engine", "vehicle"),
    "explosion": ("explosion",),
    "crowd": ("crowd", "human voice"),
}
# Words for any blow or any friction: what they may be of is wide open.
BLOWS = word_set(
    "bang thump thunk whack smash clang clatter slap tap knock crack breaking bouncing chop chink splinter crushing "
    "wood sound_effect"
)
RUBS = word_set(
    "clicking creak flap roll rub rustle scrape scratch squeak squeal squish tearing crumpling crunch rumble whoosh "
    "zing clickety_clack throbbing vibration"
)
OF_BLOWS = ("impact", "door", "tool", "kitchen", "household", "explosion")
OF_RUBS = ("noise", "human action", "household", "tool", "door", "machine")
OF_NOISE = ("noise", "machine", "electronic")  # for the other sounds of the category `noise`
DISTINCT: frozenset[frozenset[str]] = frozenset(
    frozenset(pair.split("/"))
    for pair in [
        "male_speech/female_speech",
        "male_speech/child_speech",
        "female_speech/child_speech",
        "male_singing/female_singing",
        "male_singing/child_singing",
        "female_singing/child_singing",
        "male_scream/female_scream",
        "crying/laughter",
        "baby_cry/laughter",
        "baby_cry/male_speech",
        "baby_laughter/baby_cry",
        "sneeze/cough",
        "cough/throat_clearing",
        "door_opening/door_closing",
    ]
)
DULL = word_set(
    "sound noise music machine instrument someone something person man woman child people electric electronic light "
    "heavy background single drawn ringing playing running opening closing being passing other high low loud long"
)


class Kin:
    """The relation over one table of sounds; answers are computed once per key."""

    def __init__(self, table: Mapping[str, Sound]) -> None:
        self._table = table
        self._words = {key: (content(s.name) | content(key.replace("_", " "))) - DULL for key, s in table.items()}
        self._families: dict[str, set[int]] = {key: set() for key in table}
        for number, family in enumerate(FAMILIES):
            for key in family & self._families.keys():
                self._families[key].add(number)
        self._covers = {key: self._cover(sound) for key, sound in table.items()}
        self._of: dict[str, frozenset[str]] = {}

    def of(self, key: str) -> frozenset[str]:
        """The key itself and all keys that may hide in it or hide it."""
        if key not in self._of:
            self._of[key] = frozenset(other for other in self._table if self._related(key, other))
        return self._of[key]

    def close(self, key: str) -> tuple[str, ...]:
        """Keys that share a family or a word with the key, without itself, in the table's order."""
        near = self.of(key) - {key}
        return tuple(other for other in self._table if other in near and self._alike(key, other))

    def related(self, one: str, other: str) -> bool:
        """May one of the two be heard where the other is named?"""
        return other in self.of(one)

    def _related(self, one: str, other: str) -> bool:
        if one == other:
            return True
        if frozenset((one, other)) in DISTINCT:
            return False
        if self._alike(one, other):
            return True
        categories = self._table[one].category, self._table[other].category
        return categories[1] in self._covers[one] or categories[0] in self._covers[other]

    def _alike(self, one: str, other: str) -> bool:
        return bool(self._families[one] & self._families[other] or self._words[one] & self._words[other])

    def _cover(self, sound: Sound) -> frozenset[str]:
        covered = set(BROAD.get(sound.key, ())) | set(LIKE.get(sound.category, ()))
        if sound.key in BLOWS:
            covered |= {*OF_BLOWS}
        if sound.key in RUBS:
            covered |= {*OF_RUBS}
        elif sound.category == "noise":
            covered |= {*OF_NOISE}
        if sound.category == "place":
            country = self._words[sound.key] & COUNTRY_WORDS
            covered |= {*_COUNTRY} if country else {*_INDOORS, *_CITY}
        return frozenset(covered)
