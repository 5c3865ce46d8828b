"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("app", "data", "kernels", "models")
FILES = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
    return not name.startswith("models.training")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    wrong = sorted(name for name in imports_of(path) if not allowed(path, name))
    assert not wrong, f"{path.relative_to(ROOT)} may not import {', '.join(wrong)}"


def test_the_rule_can_fail() -> None:
    assert not allowed(ROOT / "models/speaker.py", "data.audio")
    assert not allowed(ROOT / "models/speaker.py", "app.chat")
    assert not allowed(ROOT / "data/audio/reading.py", "models.mel")
    assert not allowed(ROOT / "models/reply.py", "models.training.loop")
    assert allowed(ROOT / "models/training/corpus.py", "data.audio")


def test_no_module_is_named_like_an_installed_one_and_hidden() -> None:
    """`kernels` is also a package on PyPI; ours must be the one that is found."""
    import kernels

    assert Path(kernels.__file__).is_relative_to(ROOT)
