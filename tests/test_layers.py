"""Who may import whom, without circles; and how long files and functions are."""

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("app", "data", "kernels", "models")
FILES = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
ALL_FILES = [*FILES, ROOT / "launch.py", *sorted((ROOT / "tests").rglob("*.py"))]
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 50
REASON = "Long because "


@functools.cache
def read(path: Path) -> str:
    return path.read_text()


@functools.cache
def nodes_of(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes_of(read(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return {name for name in found if name.split(".")[0] in OURS}


def allowed(path: Path, name: str) -> bool:
    parts = path.relative_to(ROOT).parts
    top = name.split(".")[0]
    studies = parts[0] == "models" and parts[1] in ("training", "evaluation")
    if parts[0] in ("kernels", "data"):
        return top == parts[0]
    if parts[0] == "models":
        if name.startswith("models.training"):
            return parts[1] == "training"
        if name.startswith("models.evaluation"):
            return parts[1] == "evaluation"
        if top == "data":
            return studies or name in ("data.errors", "data.files", "data.limits", "data.text")
        return top in ("kernels", "models")
    return parts[:2] == ("app", "cli") or not name.startswith("models.training")


def test_imports_follow_the_arrows() -> None:
    wrong = {
        path.relative_to(ROOT).as_posix(): names
        for path in FILES
        if (names := [name for name in imports_of(path) if not allowed(path, name)])
    }
    assert not wrong, f"these may not import these: {wrong}"


def test_the_rule_can_fail() -> None:
    assert not allowed(ROOT / "models/speaker.py", "data.audio")
    assert not allowed(ROOT / "models/speaker.py", "app.chat")
    assert not allowed(ROOT / "data/audio/reading.py", "models.mel")
    assert not allowed(ROOT / "models/reply.py", "models.training.loop")
    assert not allowed(ROOT / "app/session.py", "models.training.loop")
    assert allowed(ROOT / "models/training/corpus.py", "data.audio")
    assert allowed(ROOT / "app/cli/train.py", "models.training.loop")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph_of(sources: dict[str, str]) -> dict[str, set[str]]:
    """By module, the modules of `sources` that it imports, wherever in its file."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        found: set[str] = set()
        for node in nodes_of(source):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= inside & sources.keys()
                if not inside <= sources.keys():
                    found.add(node.module or "")
        graph[module] = (found & sources.keys()) - {module}
    return graph


def circle_in(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle; none: there is no circle."""
    try:
        graphlib.TopologicalSorter(graph_of(sources)).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports within functions and for type checkers count too."""
    sources = {module_of(path): read(path) for path in FILES}
    assert circle_in(sources) == []


def test_what_is_imported_is_there() -> None:
    """Within functions too, where no other test may come."""
    there = {module_of(path) for path in FILES}
    missing = {
        path.relative_to(ROOT).as_posix(): names
        for path in ALL_FILES
        if (names := imports_of(path) - there)
    }
    assert not missing, f"these import what is not there: {missing}"


def test_a_circle_is_found() -> None:
    later = {"a": "def f():\n    from b import g", "b": "import c", "c": "from a import f"}
    assert set(circle_in(later)) == {"a", "b", "c"}
    assert circle_in({**later, "c": ""}) == []
    package = {"p": "", "p.a": "from p import b", "p.b": ""}
    assert circle_in(package) == [] and circle_in({**package, "p.b": "from p import a"})


def test_files_are_short() -> None:
    lengths = {p.relative_to(ROOT).as_posix(): len(read(p).splitlines()) for p in ALL_FILES}
    found = {name: num for name, num in lengths.items() if num > MAX_FILE_LINES}
    assert not found, f"over {MAX_FILE_LINES} lines: {found}; split by concept"


def too_long(source: str) -> Iterator[str]:
    """Functions of more lines than they may have whose docstrings do not say why."""
    for node in nodes_of(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            num = (node.end_lineno or 0) - node.lineno + 1
            if num > MAX_FUNCTION_LINES and REASON not in (ast.get_docstring(node) or ""):
                yield node.name


def test_functions_are_short_or_say_why_not() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in ALL_FILES
        if (names := list(too_long(read(path))))
    }
    assert not found, f"over {MAX_FUNCTION_LINES} lines: {found}; split, or say {REASON!r} ..."


def test_a_long_function_is_found() -> None:
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    assert list(too_long(f"def f():\n{body}")) == ["f"]
    assert list(too_long(f"class A:\n    async def g(self):\n{body.replace('  x', '      x')}"))
    assert not list(too_long(f'def f():\n    """Long because it is a table."""\n{body}'))
    assert not list(too_long(f"def f():\n{body[: -len('    x = 1') - 1]}"))


def test_no_module_is_named_like_an_installed_one_and_hidden() -> None:
    """`kernels` is also a package on PyPI; ours must be the one that is found."""
    import kernels

    assert Path(kernels.__file__).is_relative_to(ROOT)
