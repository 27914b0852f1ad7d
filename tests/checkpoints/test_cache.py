"""The cache of models: made once, made again where it is not sound, bounded, cleared; nobody's half work is used."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from mellow.checkpoints import obtain as filling
from mellow.checkpoints.cache import entries, models_folder
from mellow.checkpoints.obtain import obtain, remove, sweep


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


class Maker:
    """Writes models of some size, and counts them."""

    def __init__(self, size: int = 10) -> None:
        self.size = size
        self.made: list[str] = []

    def __call__(self, directory: Path) -> None:
        self.made.append(directory.name)
        directory.mkdir()
        (directory / "weights").write_bytes(bytes(self.size))


def is_sound(directory: Path) -> bool:
    return (directory / "weights").is_file() and (directory / "weights").stat().st_size > 0


def use(name: str, maker: Maker, *, at: float = 0) -> Path:
    path = obtain(name, maker, is_sound=is_sound)
    if at:
        os.utime(path, (at, at))
    return path


def test_a_model_is_made_once(folder: Path) -> None:
    maker = Maker()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: use("a", maker), range(8))) == {folder / "a"}
    assert maker.made == ["a"]
    assert [(entry.name, entry.size) for entry in entries()] == [("a", 10)]


def test_one_that_is_not_sound_is_made_again() -> None:
    maker = Maker()
    (use("a", maker) / "weights").write_bytes(b"")
    assert is_sound(use("a", maker))
    assert maker.made == ["a", "a"]


def test_what_a_killed_process_left_is_swept_and_never_listed(folder: Path) -> None:
    (folder / ".a.123.part").mkdir(parents=True)
    assert entries() == []
    use("a", Maker())
    assert sorted(path.name for path in folder.iterdir()) == ["a", "a.lock"]


def test_the_least_recently_used_go_when_there_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "MOST_BYTES", 30)
    maker = Maker()
    for day, name in enumerate("abc"):
        use(name, maker, at=1_000_000 + day)
    use("a", maker)  # used again: now b is the oldest
    use("d", maker)
    assert {entry.name for entry in entries()} == {"a", "c", "d"}
    use("big", Maker(100))
    assert [entry.name for entry in entries()] == ["big"], "the newest stays, however big it is"


def test_removing_leaves_those_at_which_another_process_works(folder: Path) -> None:
    for name in ("a", "b"):
        use(name, Maker())
    with FileLock(folder / "a.lock"):
        busy = remove(entries())
    assert [entry.name for entry in busy] == ["a"]
    assert [entry.name for entry in entries()] == ["a"]


def test_a_cache_that_cannot_be_written_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MELLOW_CACHE", str(tmp_path / "file"))
    assert entries() == []
    with pytest.raises(OSError, match="file"):
        use("a", Maker())


def test_without_the_variable_it_is_the_platforms_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MELLOW_CACHE")
    assert models_folder().name == "models"
    assert "mellow" in str(models_folder())


def test_what_killed_processes_left_of_other_models_goes_but_not_what_is_being_made(folder: Path) -> None:
    for name in (".old.77.part", ".v0.best-int8.78.part"):
        (folder / name).mkdir(parents=True)
    with FileLock(folder / "v0.best-int8.lock"):  # another process makes it
        use("v0", Maker())
    left = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert left == [".v0.best-int8.78.part", "v0"]
    sweep()
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["v0"]


def test_a_model_that_cannot_be_removed_is_told_and_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    use("a", Maker())
    found = entries()

    def refuse(*_: object) -> None:
        raise PermissionError("in use")

    monkeypatch.setattr(os, "replace", refuse)
    assert list(remove(found)) == list(found)
    assert [entry.name for entry in entries()] == ["a"]
