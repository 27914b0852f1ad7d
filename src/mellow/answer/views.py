"""Views of clips: the stretches that are asked about one by one, and how their answers become one.

The compact layout hears a clip of any length as a whole: one view. The published layout hears 10 s: a longer clip has a
view per window (`ClipPolicy.long == "windows"`). Window n of the first clip goes with window n of the second; the
shorter clip's last window stands beside all that is left of the longer one.

Text: the text of each window, and merged a line per window, `[0:08-0:18] a dog barks`. A choice: the choice of each
window by its own scores, and merged the option with the largest sum of scores over the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mellow.answer.choose import ChoiceRule, decide
from mellow.engine import Heard
from mellow.types import Answer, WindowAnswer

__all__ = ["HeardView", "decide_views", "merge_texts", "pair", "stamp"]


@dataclass(frozen=True, eq=False)
class HeardView:
    """One or two clips over a stretch of time, from `start` to `end` in seconds of the longer one."""

    start: float
    end: float
    clips: list[Heard]


def pair(views_of_clips: Sequence[Sequence[HeardView]]) -> list[HeardView]:
    """Views of single clips, joined window by window."""
    longest = max(views_of_clips, key=len)
    return [
        replace(view, clips=[views[min(n, len(views) - 1)].clips[0] for views in views_of_clips])
        for n, view in enumerate(longest)
    ]


def stamp(view: HeardView) -> str:
    """`[0:08-0:18] `, in minutes and seconds, the end rounded up."""
    start, end = int(view.start), int(-(-view.end // 1))
    return f"[{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}] "


def merge_texts(views: Sequence[HeardView], answers: Sequence[Answer]) -> Answer:
    """One text of the views' texts; it ended by `length` where any of them did."""
    if len(answers) == 1:
        return answers[0]
    text = "\n".join(stamp(view) + answer.text for view, answer in zip(views, answers, strict=True))
    cut = any(answer.stop_reason == "length" for answer in answers)
    return Answer(text, stop_reason="length" if cut else "end", windows=_windows(views, answers))


def decide_views(
    views: Sequence[HeardView], options: Sequence[str], scores: Sequence[np.ndarray], rule: ChoiceRule
) -> Answer:
    """One choice by the sum of the views' scores (one per option each)."""
    answer = decide(options, np.sum(scores, axis=0), rule)
    if len(views) == 1:
        return answer
    return replace(answer, windows=_windows(views, [decide(options, score, rule) for score in scores]))


def _windows(views: Sequence[HeardView], answers: Sequence[Answer]) -> tuple[WindowAnswer, ...]:
    return tuple(
        WindowAnswer(view.start, view.end, answer.text, answer.choice)
        for view, answer in zip(views, answers, strict=True)
    )
