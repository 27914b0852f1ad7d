"""`python -m mellow` is the command `mellow`."""

from __future__ import annotations

from mellow.cli import main

if __name__ == "__main__":
    main()
