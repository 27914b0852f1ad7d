"""The files of a run: pairs and rejected outputs, appended to and synced, so that a killed run goes on where it was.

An answer is on disk before its worker asks the next question. What a kill can tear is the last block of a file, which
is cut off when the file is opened again; that one caption is asked about again.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from mellow.data.records import Record
from mellow.data.synthesis.parse import PAIRS, RejectedError
from mellow.data.synthesis.request import Request, key_of
from mellow.errors import DataError
from mellow.files import sync

__all__ = ["Store", "rejected_path"]

NOT_OURS = "it was not written by 'mellow data synthesize'; give another output file"


def rejected_path(out: Path) -> Path:
    """Where rejected outputs are kept: `pairs.rejected.jsonl` beside `pairs.jsonl`."""
    return out.with_name(f"{out.stem}.rejected.jsonl")


class Store:
    """The output file and the file of rejected outputs, open for one run at a time; a context manager.

    path: of the records, which need not exist. Raises DataError where another run has it, or where it holds anything
    but what such runs wrote. Its methods may be called by several threads.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.done: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self._mutex = threading.Lock()
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(f"Another run is writing to {self.path}; wait for it, or give another file.") from None
        try:
            for file, size in self.read().items():
                _cut(file, size)
            self._pairs, self._rejected = Appending(self.path), Appending(rejected_path(self.path))
            sync(self.path.parent)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._mutex:  # no worker is in the middle of a block
            self._pairs.close()
            self._rejected.close()
            self._lock.release()

    def accept(self, request: Request, records: Sequence[Record]) -> None:
        """Write the pairs of a caption; they are on disk when this returns."""
        with self._mutex:
            self._pairs.append("".join(f"{record.to_json()}\n" for record in records))
            self.done.add(request.key)

    def reject(self, request: Request, error: RejectedError, output: str, *, attempt: int) -> None:
        """Write an output that holds no five pairs, with the reason."""
        row: dict[str, Any] = {"reason": error.reason, "detail": str(error), "audio": request.caption.audio}
        row |= {"caption": request.caption.text, "provenance": request.provenance(attempt), "output": output}
        with self._mutex:
            self._rejected.append(json.dumps(row, ensure_ascii=False) + "\n")
            self.attempts[request.key] += 1

    def read(self) -> dict[Path, int]:
        """Learn what earlier runs have done; the sizes of the files without what a kill left of a last block."""
        whole, last = 0, (PAIRS, 0)
        for end, row, where in _rows(self.path, begins=b'{"id": '):
            number, key = _pair_of(row, where)
            if (number, key) != (last[0] + 1, last[1]) and (number, last[0]) != (1, PAIRS):
                raise DataError(f"{where}: not the pair that follows the line before; {NOT_OURS}.")
            last = number, key
            if number == PAIRS:
                self.done.add(key)
                whole = end
        rejected, whole_rejected = rejected_path(self.path), 0
        for end, row, where in _rows(rejected, begins=b'{"reason": '):
            self.attempts[_pair_of(row, where)[1]] += 1
            whole_rejected = end
        return {self.path: whole, rejected: whole_rejected}


class Appending:
    """A file to append blocks to, each of which is synced, or taken back where the disk has no room for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)

    def append(self, text: str) -> None:
        """Write a block; OSError, and the file as it was, where it cannot be written whole."""
        block = memoryview(text.encode("utf-8", "backslashreplace"))  # lone surrogates become JSON escapes
        before = os.fstat(self._handle).st_size
        try:
            while block:
                block = block[os.write(self._handle, block) :]
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, before)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def close(self) -> None:
        """A worker that is still running gets an OSError, not another file that has this number by then."""
        handle, self._handle = self._handle, -1
        os.close(handle)


def _rows(path: Path, *, begins: bytes) -> Iterator[tuple[int, dict[str, Any], str]]:
    """(end in bytes, row, place) of the whole lines of a file; a last line that is torn is left out.

    begins: as every line does; a file with other lines is not ours, and never cut.
    """
    if not path.exists():
        return
    end, size = 0, path.stat().st_size
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            end += len(line)
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
                whole = isinstance(row, dict) and line.endswith(b"\n")
            except ValueError:
                whole = False
            if not whole:
                if end == size and line[: len(begins)] == begins[: len(line)]:
                    return
                raise DataError(f"{where}: not a whole JSON object; {NOT_OURS}.")
            yield end, row, where


def _pair_of(row: dict[str, Any], where: str) -> tuple[int, int]:
    """(number of the pair, key of its request) of a line that an earlier run wrote."""
    try:
        audio = row.get("audio") or [""]
        provenance = row["provenance"]
        return provenance.get("pair", 0), key_of(audio if isinstance(audio, str) else audio[0], provenance)
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{where}: {NOT_OURS}.") from None


def _cut(path: Path, size: int) -> None:
    if path.exists() and path.stat().st_size > size:
        with path.open("rb+") as file:
            file.truncate(size)
            os.fsync(file.fileno())
