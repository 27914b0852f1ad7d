"""Silences C libraries: mpg123 reports damage of an mp3 on stderr, and has no option against it.

Closing file descriptor 2 for a while would silence Python and every other thread as well. In glibc `stderr` is a plain
variable that may be set (its manual, "Standard Streams"), and only C code looks at it: while a recording is decoded it
points to /dev/null, so `sys.stderr`, other threads' tracebacks and child processes are as they were. Only what other C
libraries print in just these moments is lost. Where the C library is another (macOS, Windows, musl), nothing is done.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["c_libraries_silenced"]

_lock = threading.Lock()
_silencing = 0  # how many threads are inside
_before: int | None = None


@contextmanager
def c_libraries_silenced() -> Iterator[None]:
    """Redirect C code's stderr to /dev/null; several threads may be inside at once, the last one restores it."""
    global _silencing, _before
    found = _streams()
    if found is None:
        yield
        return
    stderr, nowhere = found
    with _lock:
        if _silencing == 0:
            _before, stderr.value = stderr.value, nowhere
        _silencing += 1
    try:
        yield
    finally:
        with _lock:
            _silencing -= 1
            if _silencing == 0:
                stderr.value = _before


@cache
def _streams() -> tuple[ctypes.c_void_p, int] | None:
    """glibc's variable `stderr`, and a stream to /dev/null."""
    if platform.libc_ver()[0] != "glibc":
        return None
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    nowhere = libc.fopen(b"/dev/null", b"we")
    return (ctypes.c_void_p.in_dll(libc, "stderr"), nowhere) if nowhere else None
