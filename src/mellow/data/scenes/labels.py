"""What people say about recordings in tables of their own: what labels mean, which sounds to hold out, which files are
copies of others."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from mellow.data.scenes import phrases
from mellow.errors import DataError

__all__ = ["Kind", "LabelTable", "Labelling", "check_keys", "kind_of", "read_keys", "read_labels", "some", "split_keys"]

Kind = Literal["event", "background"]
LabelTable = Mapping[tuple[str, str], tuple[tuple[str, ...], Kind]]

NAMED = 10  # names that a message lists
LABEL_COLUMNS = {"source": False, "label": True, "keys": True, "kind": False}  # whether each must be there
DUPLICATE_COLUMNS = {"path": True, "follows": True}


@dataclass(frozen=True)
class Labelling:
    """What is known of recordings beside their manifest.

    labels: (source, label) -> (keys of sounds best first, kind); the source "" means any. None: a recording's own row
        names its keys, or its label is a key.
    held_out: keys of the sounds that training must neither hear nor name.
    duplicates: path of a file -> path of the file with the same recording, whose split it follows.
    """

    labels: LabelTable | None = None
    held_out: frozenset[str] = frozenset()
    duplicates: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, *, labels: Path | None = None, held_out: Path | None = None, duplicates: Path | None = None
    ) -> Labelling:
        """Read the files that there are. Raises DataError naming the file, line and value that is wrong."""
        return cls(
            labels=None if labels is None else read_labels(labels),
            held_out=frozenset() if held_out is None else read_keys(held_out),
            duplicates={} if duplicates is None else read_duplicates(duplicates),
        )

    def meaning(self, source: str, label: str) -> tuple[tuple[str, ...], Kind] | None:
        """Keys and kind of a recording with this label; None where nothing says what the label means."""
        if self.labels is None:
            return ((label,), "event") if label in phrases.sounds() else None
        return self.labels.get((source, label)) or self.labels.get(("", label))


def read_labels(path: Path) -> LabelTable:
    """Read a table of labels, separated by tabs, or by commas where it is a .csv.

    Columns: label; keys of the sound table, separated by commas, best first; and, where they are wanted, source (none:
    any source) and kind, "event" (the default) or "background".
    Raises DataError naming the line that is wrong, or all keys that the sound table does not have.
    """
    found: dict[tuple[str, str], tuple[tuple[str, ...], Kind]] = {}
    for place, row in _rows(path, LABEL_COLUMNS):
        keys, label = split_keys(row["keys"]), (row["source"], row["label"])
        if not keys:
            raise DataError(f"{place}: the label {row['label']!r} has no key; name one, or remove the row.")
        if label in found:
            raise DataError(f"{place}: the label {row['label']!r} appears twice; keep one row.")
        found[label] = keys, kind_of(row["kind"], place)
    check_keys((key for keys, _ in found.values() for key in keys), where=str(path))
    return found


def read_keys(path: Path) -> frozenset[str]:
    """Read keys of the sound table, one per line, where `#` starts a comment. Raises DataError naming unknown ones."""
    lines = (line.split("#", 1)[0].strip() for line in _text(path).splitlines())
    keys = frozenset(line for line in lines if line)
    check_keys(keys, where=str(path))
    return keys


def read_duplicates(path: Path) -> dict[str, str]:
    """Read a table of files (`path`) that hold the recording of another file (`follows`)."""
    return {row["path"]: row["follows"] for _, row in _rows(path, DUPLICATE_COLUMNS)}


# --- values -----------------------------------------------------------------------------------------------------------


def split_keys(text: str) -> tuple[str, ...]:
    """Keys that commas separate, each once."""
    return tuple(dict.fromkeys(key.strip() for key in text.split(",") if key.strip()))


def kind_of(text: str, place: str) -> Kind:
    """A kind as it is written, "event" where it is not; DataError for another word."""
    if text not in ("", "event", "background"):
        raise DataError(f"{place}: {text!r} is no kind; use 'event' or 'background'.")
    return cast(Kind, text or "event")


def check_keys(keys: Iterable[str], *, where: str) -> None:
    """Raise DataError naming the keys that the sound table does not have, all in one sentence."""
    unknown = sorted({key for key in keys if key not in phrases.sounds()})
    if unknown:
        what = "a key" if len(unknown) == 1 else f"{len(unknown)} keys"
        raise DataError(
            f"{where} names {what} that the sound table does not have ({some(unknown)}); "
            "'mellow data sounds' lists those that it has."
        )


def some(names: Sequence[str]) -> str:
    """Names as a message lists them: the first ten, and how many more there are."""
    rest = len(names) - NAMED
    return ", ".join(map(repr, names[:NAMED])) + (f" and {rest} more" if rest > 0 else "")


# --- files ------------------------------------------------------------------------------------------------------------


def _rows(path: Path, columns: Mapping[str, bool]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place for messages, cell of each column) of the rows of a table; a column that is not there is empty."""
    is_csv = path.suffix.lower() == ".csv"
    lines = _text(path).splitlines()
    reader = csv.reader(
        lines, delimiter="," if is_csv else "\t", quoting=csv.QUOTE_MINIMAL if is_csv else csv.QUOTE_NONE
    )
    header = [cell.strip() for cell in next(reader, [])]
    wrong = [name for name in header if name not in columns or header.count(name) > 1]
    missing = [name for name, needed in columns.items() if needed and name not in header]
    if wrong or missing:
        separator, names = "commas" if is_csv else "tabs", ", ".join(columns)
        what = f"no column {missing[0]!r}" if missing else f"a column {wrong[0]!r}, unknown or there twice"
        raise DataError(f"{path}, line 1: {what}; the columns, separated by {separator}, are {names}.")
    for row in reader:
        cells = [cell.strip() for cell in row]
        place = f"{path}, line {reader.line_num}"
        if not any(cells):
            continue
        if len(cells) != len(header):
            hint = "; put keys that commas separate in quotes" if is_csv else ""
            raise DataError(f"{place}: {len(cells)} cells instead of {len(header)}{hint}.")
        yield place, dict.fromkeys(columns, "") | dict(zip(header, cells, strict=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"The table {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"The table {path} is not UTF-8 text; save it as UTF-8.") from None
