"""Pictures of the counts: audio words of questions and answers (Fig. 6), and words that set types apart (Fig. 9)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from mellow.data.statistics import KINDS, PARTS, Statistics, audio_words, words_apart

__all__ = ["write_pictures"]

SHOWN = 20  # bars of a panel
COLOURS = ("#3b6ea5", "#c8743a", "#5a9367")  # of the three groups
PANEL = (4.4, 4.6)  # inches


def write_pictures(statistics: Statistics, directory: Path) -> list[Path]:
    """Write a PNG per type with its audio words, and one per further type with what it has oftener than the first."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for type_ in statistics.types:
        written += _written(_audio_words(statistics, type_), directory / f"audio-words{_tail(type_)}.png")
    for other in statistics.types[1:]:
        figure = _apart(statistics, statistics.types[0], other)
        written += _written(figure, directory / f"words-apart{_tail(other)}.png")
    return written


def _tail(type_: str) -> str:
    name = "".join(c if c.isalnum() else "-" for c in type_.lower())
    return f"-{name}" if name else ""


def _written(figure: Figure | None, path: Path) -> list[Path]:
    if figure is None:
        return []
    figure.savefig(path, dpi=120)
    return [path]


def _audio_words(statistics: Statistics, type_: str) -> Figure | None:
    groups = {word: place for place, listed in enumerate(audio_words().values()) for word in listed}
    panels = []
    for kind in statistics.kinds:
        for part in PARTS:
            counts = statistics.counts(type_, kind, part)
            found = sorted(((c, w) for w, c in counts.items() if w in groups), reverse=True)[:SHOWN]
            if found:
                panels.append((f"{KINDS.get(kind, kind)}: {part}s", found))
    if not panels:
        return None
    figure, axes = _panels(len(panels), f"Audio words {type_}".strip())
    for ax, (title, found) in zip(axes, panels, strict=True):
        _bars(ax, title, [w for _, w in found], [c for c, _ in found], [COLOURS[groups[w]] for _, w in found])
        ax.set_xlabel("occurrences")
    handles = [Patch(color=colour, label=name) for colour, name in zip(COLOURS, audio_words(), strict=True)]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False)
    return figure


def _apart(statistics: Statistics, first: str, other: str) -> Figure | None:
    panels = []
    for kind in statistics.kinds:
        for part in PARTS:
            _, more = words_apart(statistics.counts(first, kind, part), statistics.counts(other, kind, part), SHOWN)
            if more:
                panels.append((f"{KINDS.get(kind, kind)}: {part}s", more))
    if not panels:
        return None
    figure, axes = _panels(len(panels), f"Words of {other} beside {first}")
    for ax, (title, more) in zip(axes, panels, strict=True):
        _bars(ax, title, [w for w, _ in more], [times for _, times in more], [COLOURS[0]] * len(more))
        ax.axvline(1, color="#888888", linewidth=0.8)
        ax.set_xlabel("times as frequent")
    return figure


def _panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    columns = min(count, 4)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(rect=(0, 0.05, 1, 0.95))  # room for the legend
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.8), layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[count:]:
        ax.set_visible(False)
    figure.suptitle(title)
    return figure, axes[:count]


def _bars(ax: Axes, title: str, names: Sequence[str], lengths: Sequence[float], colours: Sequence[str]) -> None:
    """The longest bar on top."""
    places = range(len(names))
    ax.barh(places, lengths, color=colours)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_title(title, fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
