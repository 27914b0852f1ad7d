"""What a user of the installed package finds: public names, types, a module that runs."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import mellow


def test_dir_shows_the_public_names() -> None:
    assert dir(mellow) == sorted([*mellow.__all__, "__version__"])
    assert all(getattr(mellow, name) is not None for name in dir(mellow))


def test_what_asking_takes_and_gives_is_public() -> None:
    values = {"Answer", "ChoiceRule", "Clip", "ClipPolicy", "DecodingOptions", "EncodedAudio", "Scores"}
    assert set(mellow.__all__) == {*values, "Mellow", "MellowError", "MellowWrapper", "load"}


def test_importing_the_package_loads_no_numpy() -> None:
    code = "import sys, mellow; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_name_that_does_not_exist() -> None:
    assert not hasattr(mellow, "lode")


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert resources.files("mellow").joinpath("py.typed").is_file()


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "mellow", "--version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"mellow {mellow.__version__}\n", "")
