"""Views of clips: the stretches that are asked about one by one, and how their answers become one.

The compact layout takes up to 30 s at once: a longer clip has a view per stretch of 30 s. The published layout takes
10 s: a longer clip has a view per window (`ClipPolicy.long == "windows"`). View n of the first clip is paired with view
n of the second, and the shorter clip's last view with the remaining ones of the longer clip.

Texts are merged with a line per view, `[0:30-1:00] a dog barks`. Of choices, the most confident view decides, that is,
the one whose best option has the highest probability; where the options are yes and no, the one with the highest
probability of yes, since what is present in one view is present in the clip. Summing scores missed sounds that fill a
small part of a clip (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mellow.answer.encode import EncodedClip
from mellow.types import Answer, WindowAnswer

__all__ = ["EncodedView", "merge_choices", "merge_texts", "pair", "stamp", "surest"]


@dataclass(frozen=True, eq=False)
class EncodedView:
    """One or two clips over a stretch of time, from `start` to `end` in seconds of the longer one."""

    start: float
    end: float
    clips: list[EncodedClip]


def pair(views_of_clips: Sequence[Sequence[EncodedView]]) -> list[EncodedView]:
    """Views of single clips, joined window by window."""
    longest = max(views_of_clips, key=len)
    return [
        replace(view, clips=[views[min(n, len(views) - 1)].clips[0] for views in views_of_clips])
        for n, view in enumerate(longest)
    ]


def stamp(view: EncodedView) -> str:
    """`[0:08-0:18] `, in minutes and seconds, the end rounded up."""
    start, end = int(view.start), int(-(-view.end // 1))
    return f"[{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}] "


def merge_texts(views: Sequence[EncodedView], answers: Sequence[Answer]) -> Answer:
    """One text of the views' texts; it ended by `length` where any of them did."""
    if len(answers) == 1:
        return answers[0]
    text = "\n".join(stamp(view) + answer.text for view, answer in zip(views, answers, strict=True))
    cut = any(answer.stop_reason == "length" for answer in answers)
    return _of_all(Answer(text, stop_reason="length" if cut else "end"), views, answers)


def merge_choices(views: Sequence[EncodedView], options: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """The choice of the most confident view; of yes and no, that of the view with the highest probability of yes."""
    if len(answers) == 1:
        return answers[0]
    return _of_all(answers[surest(options, answers)], views, answers)


def surest(options: Sequence[str], answers: Sequence[Answer]) -> int:
    """Which view's choice counts: that of the surest view; of yes and no, that of the view that is surest of yes."""
    lowered = [option.lower() for option in options]
    yes = lowered.index("yes") if set(lowered) == {"yes", "no"} else None
    sure = [max(answer.probabilities) if yes is None else answer.probabilities[yes] for answer in answers]
    return sure.index(max(sure))


def _of_all(merged: Answer, views: Sequence[EncodedView], answers: Sequence[Answer]) -> Answer:
    """A merged answer with the answers of the views and the sums of their tokens."""
    return replace(
        merged,
        windows=_windows(views, answers),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        answer_tokens=sum(answer.answer_tokens for answer in answers),
    )


def _windows(views: Sequence[EncodedView], answers: Sequence[Answer]) -> tuple[WindowAnswer, ...]:
    return tuple(
        WindowAnswer(view.start, view.end, answer.text, answer.choice)
        for view, answer in zip(views, answers, strict=True)
    )
