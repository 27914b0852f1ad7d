"""Rules read off the imports: which package may import which, no loops, nothing loaded before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import mellow
import mellow.audio

PACKAGE = Path(mellow.__file__).resolve().parent

# What each package may import; what it may import, it may import from there on, too. docs/architecture.md
# prints this table (scripts/write_architecture.py).
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "checks": set(),
    "offline": set(),
    "progress": set(),
    "types": set(),
    "files": {"errors"},
    "audio": {"checks", "errors", "types"},
    "encoders": {"audio"},
    "llama": {"encoders"},
    "config": {"llama"},
    "events": {"encoders"},
    "text": {"events"},
    "processor": {"config", "text", "progress"},
    "checkpoints": {"config", "files"},
    "engines": {"processor", "checkpoints", "model", "graphs"},
    "graphs": {"config", "files"},
    "model": {"processor", "checkpoints"},
    "importers": {"model"},
    "answer": {"engines", "importers"},
    "data": {"files", "text", "progress"},
    "train": {"importers", "data"},
    "evaluate": {"files", "text"},
    "export": {"answer"},
    "serve": {"answer"},
    "ui": {"answer"},
    "doctor": {"answer", "offline"},
    "wrapper": {"answer"},
}
EVERYTHING = {*MAY_IMPORT, "cli"}
FREE = ("cli", "__init__", "__main__")
MAY_IMPORT |= dict.fromkeys(FREE, EVERYTHING)
EXCEPTIONS = {("evaluate.predict", "answer")}  # the one module of its package that needs a model
LATE = {  # what is imported when it is needed, since it is not installed, or slow to import and seldom needed
    ("mellow.answer.load", "mellow.answer.prepare"),
    ("mellow.audio.decode", "mellow.audio.formats"),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name."""
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def package_of(module: str) -> str:
    """`mellow.audio.decode` is in `audio`."""
    return [*module.split("."), "__init__"][1]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(node: ast.AST) -> Iterator[str]:
    """Our modules in an import statement: `from mellow.data import phrases` is `mellow.data.scenes.phrases`."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide which package is meant"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        while name and name not in modules():
            name = name.rpartition(".")[0]
        if name:
            yield name


def imports(module: str, *, while_loading: bool = False) -> set[str]:
    """What a module imports of ours, anywhere in it or only while it is loaded."""
    found: set[str] = set()
    waiting: list[ast.AST] = [modules()[module]]
    while waiting:
        node = waiting.pop()
        late = is_type_checking(node) or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if not (while_loading and late):
            found.update(imported(node))
            waiting += ast.iter_child_nodes(node)
    return found - {module}


def allowed(name: str) -> set[str]:
    """A package, what it may import, and what that may."""
    return {name}.union(*map(allowed, MAY_IMPORT[name])) if name not in FREE else EVERYTHING


def test_every_module_is_in_a_package_of_the_table() -> None:
    assert {package_of(module) for module in modules()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("module", modules())
def test_a_package_imports_only_what_the_table_says(module: str) -> None:
    inside = module.removeprefix("mellow.")
    may = allowed(package_of(module))
    wrong = {name for name in imports(module) if package_of(name) not in may and name != "mellow"}
    assert {name for name in wrong if (inside, package_of(name)) not in EXCEPTIONS} == set()


def test_the_table_is_checked_in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that breaks it would be found."""
    intruder = ast.parse("def f():\n    from mellow.model import ced\n    import mellow.answer.load")
    monkeypatch.setitem(modules(), "mellow.audio.decode", intruder)
    assert imports("mellow.audio.decode") == {"mellow.model.ced", "mellow.answer.load"}
    assert imports("mellow.audio.decode", while_loading=True) == set()
    assert not {"model", "answer"} & allowed("audio")
    assert "audio" in allowed("train")


def test_no_module_imports_itself_through_others() -> None:
    """Modules that import nothing that is left are taken away until none is left."""
    waiting = {module: imports(module, while_loading=True) for module in modules()}
    while free := {module for module, needs in waiting.items() if not needs & set(waiting)}:
        for module in free:
            del waiting[module]
    assert waiting == {}


@pytest.mark.parametrize("module", [name for name in modules() if package_of(name) not in FREE])
def test_no_import_inside_a_function(module: str) -> None:
    """But in `mellow/__init__.py` and `cli`, where they keep the start light."""
    functions = [n for n in ast.walk(modules()[module]) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = [node for f in functions for node in ast.walk(f) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {name for node in inside for name in imported(node) if (module, name) not in LATE} == set()
    assert all(list(imported(node)) for node in inside), "other packages are imported at the top"


@pytest.mark.parametrize("module", ["mellow", "mellow.cli"])
def test_a_light_start(module: str, root: Path) -> None:
    """Importing the package or its command line loads neither torch nor what brings it."""
    heavy = ("torch", "transformers", "peft", "accelerate", "onnx", "onnxruntime", "sklearn", "huggingface_hub")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(root / "src"), "PATH": ""}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_asking_loads_no_torch(root: Path) -> None:
    """`load` and all that it needs work where only the base install is."""
    absent = ("torch", "transformers", "gguf", "onnx", "pydantic", "yaml", "huggingface_hub")
    names = "mellow.answer.load, mellow.answer.prepare, mellow.wrapper, mellow.cli"
    code = f"import sys; sys.modules |= dict.fromkeys({absent}); import {names}"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "src"), "PATH": ""}, check=True)


# --- library code is silent ------------------------------------------------------------------------------------------

DRAWS = {"rich", "tqdm", "typer", "click"}


def draws(tree: ast.Module) -> Iterator[str]:
    """Whatever in a module writes to the user's terminal: print, standard streams, and what draws there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("print", "input"):
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__"):
            if isinstance(node.value, ast.Name) and node.value.id == "sys":
                yield f"sys.{node.attr}"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (name for name in module if name.partition(".")[0] in DRAWS)


@pytest.mark.parametrize("module", [name for name in modules() if package_of(name) not in ("cli", "__main__")])
def test_only_the_command_line_prints_and_draws(module: str) -> None:
    assert list(draws(modules()[module])) == []


@pytest.mark.parametrize(
    "code",
    ["print(1)", "tell = print", "import sys\nsys.stderr.write('x')", "from rich.progress import track", "import tqdm"],
)
def test_what_prints_is_found(code: str) -> None:
    assert list(draws(ast.parse(code)))


# --- public names -----------------------------------------------------------------------------------------------------


def listed(module: str) -> list[str] | None:
    """`__all__` of a module, or None."""
    for node in modules()[module].body:
        if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == ["__all__"]:
            found = ast.literal_eval(node.value)
            assert isinstance(found, list)
            return found
    return None


@pytest.mark.parametrize("package", [mellow, mellow.audio], ids=lambda package: package.__name__)
def test_all_names_of_a_public_package_are_listed(package: ModuleType) -> None:
    """`__all__` is what a user sees: neither more nor less."""
    hidden = {"annotations", "TYPE_CHECKING", "Any", "import_module"}
    inner = {name.removeprefix(f"{package.__name__}.").partition(".")[0] for name in modules()}
    seen = {name for name in vars(package) if not name.startswith("_") and name not in inner | hidden}
    late = set(mellow._HOMES) if package is mellow else set()
    assert sorted(seen | late) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize("module", [name for name in modules() if listed(name)])
def test_listed_names_are_there_once_and_private_ones_are_not_listed(module: str) -> None:
    names = listed(module) or []
    defined: set[str] = set()
    for node in ast.walk(modules()[module]):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            defined |= {alias.asname or alias.name for alias in node.names}
    assert sorted(set(names)) == sorted(names)
    assert set(names) <= defined
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("module", modules())
def test_modules_use_only_listed_names_of_other_packages_and_no_private_ones(module: str) -> None:
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.ImportFrom) and node.module in modules():
            names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in modules()}
            assert not [name for name in names if name.startswith("_") and name != "__version__"]
            if package_of(module) != package_of(node.module):
                assert names <= set(listed(node.module) or [])
