"""The sound table: complete, unique, in their format; and wrong rows are named."""

from __future__ import annotations

import re

import pytest

from mellow.data.scenes import phrases
from mellow.errors import DataError

HEADER = "index\tkey\tname\tnoun\tverbs\tcategory\tcharacter\tplace\taction\n"
DOG = "69\tdog\tdog\ta dog barking\ta dog barks|a dog is barking\tanimal\tsharp bursts\tin a yard\tcall the dog\n"
CAT = "76\tcat\tcat\ta cat meowing\ta cat meows\tanimal\tthin and rising\tin a kitchen\tfeed the cat\n"


def test_a_row_becomes_a_sound() -> None:
    sounds = phrases.parse_sounds(HEADER + DOG + "\n" + CAT.replace("76", ""), where="table")
    assert list(sounds) == ["dog", "cat"]
    assert sounds["dog"].verbs == ("a dog barks", "a dog is barking")
    assert sounds["dog"].index == 69
    assert sounds["cat"].index is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DOG + CAT, "table, line 1: the header"),
        (HEADER + DOG + CAT.rsplit("\t", 1)[0], "table, line 3: 8 columns instead of 9"),
        (HEADER + DOG + DOG, "table, line 3: the key 'dog' appears twice"),
        (HEADER + DOG + CAT.replace("\tcat\tcat\t", "\tcat\tdog\t"), "table, line 3: the name 'dog' is that of 'dog'"),
        (HEADER + DOG.replace("\tanimal\t", "\tmineral\t"), "table, line 2: 'mineral' is no category"),
        (HEADER + DOG.replace("69", "527"), "table, line 2: the index '527'"),
        (HEADER + DOG.replace("in a yard", " "), "table, line 2: the column 'place' is empty"),
    ],
)
def test_wrong_rows_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        phrases.parse_sounds(text, where="table")


def test_the_packaged_table_is_whole() -> None:
    sounds = phrases.sounds()
    indices = sorted(sound.index for sound in sounds.values() if sound.index is not None)
    assert indices == list(range(phrases.CLASS_COUNT))
    for sound in sounds.values():
        text = "".join([sound.name, sound.noun, *sound.verbs, sound.character, sound.place, sound.action])
        assert text.isascii(), sound.key
        assert not sound.action.endswith("."), sound.key
        assert sound.verbs, sound.key
