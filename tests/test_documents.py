"""What README and CONTRIBUTING say is there: paths, names and commands with their options."""

import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest

import launch

ROOT = Path(launch.__file__).resolve().parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "data/ncssd/README.md", "data/synthetic/README.md")
OURS = ("app", "data", "kernels", "models", "tests", ".ci")
_PLACE = re.compile(rf"(?:{'|'.join(map(re.escape, OURS))})/[\w./-]*")
_NESTED = {"build", "data", "eval", "train", "voices"}  # verbs with subcommands


def quoted(text: str) -> list[str]:
    """What stands between backticks outside blocks of code."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def commands(text: str) -> list[list[str]]:
    """The arguments of every `launch.py` that a document shows, in blocks and in lines."""
    found = re.findall(r"launch\.py ((?:[^`\n\\#]|\\\n)+)", text)
    return [shlex.split(one.replace("\\\n", " ")) for one in found]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_places_are_there(document: str) -> None:
    text = (ROOT / document).read_text()
    places = {word for word in quoted(text) if _PLACE.fullmatch(word)}
    places |= set(re.findall(r"\]\(([^)#:]+)\)", text))
    for place in places - {"models/text/languages/xx/"}:  # one that a reader is to make
        near = (ROOT / document).parent / place
        assert near.exists() or (ROOT / place).exists(), f"{document} names {place}"


def test_names_are_in_the_files_beside_them() -> None:
    """`TurnBuilder.build` in `models/predictors/segments.py`."""
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    pairs = re.findall(r"`([\w.]+)` (?:in |\()`([\w/]+\.py)`", text)
    assert len(pairs) >= 5
    for name, place in pairs:
        source = (ROOT / place).read_text()
        for part in name.split("."):
            assert re.search(rf"\b{part}\b", source), f"there is no {name} in {place}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_take_the_options_that_are_shown(document: str) -> None:
    helps: dict[tuple[str, ...], str] = {}
    for argv in commands((ROOT / document).read_text()):
        verb = argv[0]
        assert verb == "VERB" or verb in launch.VERBS, f"{document}: {argv}"
        options = {word.split("=")[0] for word in argv if word.startswith("--") and word != "--"}
        if verb in ("test", "VERB") or not options:
            continue
        nested = verb in _NESTED and len(argv) > 1 and argv[1].islower() and argv[1].isascii()
        nested = nested and "." not in argv[1] and not argv[1].startswith("-")
        path = tuple(argv[: 2 if nested else 1])
        if path not in helps:
            helps[path] = help_of(path)
        unknown = options - set(re.findall(r"--[\w-]+", helps[path]))
        assert not unknown, f"{document}: {' '.join(argv)}: there is no {unknown}"


def help_of(path: tuple[str, ...]) -> str:
    main = importlib.import_module(f"app.cli.{path[0]}").main
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*path[1:], "--help"])
    return out.getvalue()
