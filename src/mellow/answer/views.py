"""Views of clips: the stretches that are asked about one by one, and how their answers become one.

The compact layout hears up to 30 s as a whole: a longer clip has a view per stretch of 30 s. The published layout hears
10 s: a longer clip has a view per window (`ClipPolicy.long == "windows"`). View n of the first clip goes with view n of
the second; the shorter clip's last view stands beside all that is left of the longer one.

Text: merged a line per view, `[0:30-1:00] a dog barks`. A choice: the view that is surest decides, that is, whose best
option has the largest probability; where the options are yes and no, that with the largest probability of yes, since
what is present in one view is present in the clip. Sums of scores lost sounds that fill little of a clip (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mellow.answer.encode import EncodedClip
from mellow.types import Answer, WindowAnswer

__all__ = ["EncodedView", "merge_choices", "merge_texts", "pair", "stamp"]


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
    """The surest view's choice; of yes and no, the choice of the view that is surest of yes."""
    if len(answers) == 1:
        return answers[0]
    lowered = [option.lower() for option in options]
    if set(lowered) == {"yes", "no"}:
        yes = lowered.index("yes")
        return _of_all(max(answers, key=lambda answer: answer.probabilities[yes]), views, answers)
    return _of_all(max(answers, key=lambda answer: max(answer.probabilities)), views, answers)


def _of_all(merged: Answer, views: Sequence[EncodedView], answers: Sequence[Answer]) -> Answer:
    """A merged answer with what its parts were and cost."""
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
