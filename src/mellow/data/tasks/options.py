"""How options are written below a question."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from mellow.data.tasks.words import cap, join, typed

__all__ = ["ONLY_OPTION", "closed", "dress", "shown"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MANY = 7  # from this number on, options are listed by number or line
ONLY_OPTION = (
    "", "", "", "", "", "", " Answer with one of the options.", " Pick one.", " Choose the best answer.",
    " Reply with the option only.", " Select the correct option.", " Only one is right.",
)  # fmt: skip


def dress(options: Sequence[str], rng: random.Random) -> list[str]:
    """The options as this question writes them: as they are, or all with a capital."""
    return [cap(option) for option in options] if rng.random() < 0.35 else list(options)


def closed(
    stem: str, options: Sequence[str], answer: str, rng: random.Random, *, shuffle: bool = True
) -> tuple[str, str, tuple[str, ...]]:
    """Write a closed-ended question: (question, answer, choices as shown); `answer` is one of the options."""
    order = list(range(len(options)))
    if shuffle:
        rng.shuffle(order)
    dressed = dress([options[index] for index in order], rng)
    right = dressed[order.index(list(options).index(answer))]
    return shown(stem, dressed, rng), right, tuple(dressed)


def shown(stem: str, options: Sequence[str], rng: random.Random) -> str:
    """The stem with its options in one of the usual layouts."""
    stem = typed(stem + rng.choice(ONLY_OPTION) if stem.endswith(("?", ".")) else stem, rng)
    plain = not any("," in option or " or " in option or ";" in option for option in options)
    short = len(options) < MANY
    layouts: list[Callable[[str, Sequence[str]], str]] = [_numbered, _semicolons, _bars]
    layouts += [_lines, _dashes] if len(options) <= 20 else []
    layouts += [_letters, _letters, _letters, _upper, _round, _letter_lines, _upper_lines] if short else []
    layouts += [_inline, _inline] if plain and len(options) <= 4 else []
    layouts += [_brackets] if plain else []
    return rng.choice(layouts)(stem, options)


def _marked(options: Sequence[str], form: str, between: str, *, upper: bool = False) -> str:
    letters = LETTERS.upper() if upper else LETTERS
    return between.join(form.format(letter, option) for letter, option in zip(letters, options, strict=False))


def _letters(stem: str, options: Sequence[str]) -> str:
    return f"{stem} {_marked(options, '{}) {}', ' ')}"


def _letter_lines(stem: str, options: Sequence[str]) -> str:
    return f"{stem}\n{_marked(options, '{}) {}', chr(10))}"


def _upper(stem: str, options: Sequence[str]) -> str:
    return f"{stem} {_marked(options, '{}. {}', ' ', upper=True)}"


def _upper_lines(stem: str, options: Sequence[str]) -> str:
    return f"{stem}\n{_marked(options, '{}. {}', chr(10), upper=True)}"


def _round(stem: str, options: Sequence[str]) -> str:
    return f"{stem} {_marked(options, '({}) {}', ' ')}"


def _numbered(stem: str, options: Sequence[str]) -> str:
    return "\n".join((stem, *(f"{number}. {option}" for number, option in enumerate(options, start=1))))


def _lines(stem: str, options: Sequence[str]) -> str:
    return "\n".join((stem, *options))


def _dashes(stem: str, options: Sequence[str]) -> str:
    return "\n".join((stem, *(f"- {option}" for option in options)))


def _semicolons(stem: str, options: Sequence[str]) -> str:
    return f"{stem} Options: {'; '.join(options)}"


def _bars(stem: str, options: Sequence[str]) -> str:
    return f"{stem} Choices: {' | '.join(options)}"


def _brackets(stem: str, options: Sequence[str]) -> str:
    return f"{stem} [{', '.join(options)}]"


def _inline(stem: str, options: Sequence[str]) -> str:
    return f"{stem.rstrip('?.!:')}: {join(options, 'or')}?"
