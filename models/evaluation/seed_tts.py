"""`eval --seed-tts`: test sets in the list format of Seed-TTS-eval.

A line of `meta.lst` is `id|prompt text|prompt audio|text to speak`, optionally followed by `|audio
of that text`; paths are relative to the list. `wavs/<id>.wav` beside the list, if present, is a
person's rendition of the text.
"""

from pathlib import Path

import numpy as np

from data.audio import read_audio
from data.errors import InputError
from models.evaluation.sets import EvaluationSet, Item
from models.evaluation.words import spoken_language

_FORMAT = "id|text of the prompt|sound of the prompt|text to be said"


def seed_tts_set(folder: Path, num: int, language: str | None = None) -> EvaluationSet:
    """Texts to speak, each in the voice of its own prompt.

    Args:
        folder: folder with `meta.lst`, or with `en/meta.lst` and `zh/meta.lst`; or a list itself.
        num: most texts, spread over the lists.
        language: `en` or `zh` alone.

    Raises:
        InputError: there is no list, or a line is invalid.
    """
    lists = _lists(folder)
    lines = [(path, line) for path in lists for line in _lines(path)]
    if language is not None:
        lines = [(path, line) for path, line in lines if spoken_language(line[3]) == language]
    if not lines:
        wanted = f" in {language!r}" if language else ""
        raise InputError(f"{', '.join(map(str, lists))}: no text{wanted} to be said")
    step = max(1, len(lines) // num)
    items, prompts = [], {}
    for path, (name, _, prompt, text, *original) in lines[::step][:num]:
        said = path.parent / (original[0] if original else f"wavs/{name}.wav")
        if original and not said.is_file():
            raise InputError(f"{path}: {said} is missing; the list names it for {name}")
        samples = read_audio(said) if said.is_file() else np.zeros(0, np.float32)
        language_of_text = spoken_language(text)
        key = f"{language_of_text} {name}"
        items.append(Item(text, key, samples, [], language_of_text, None))
        prompts[key] = [read_audio(path.parent / prompt)]
    return EvaluationSet(items, prompts, f"Seed-TTS-eval list ({folder.name})")


def _lists(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = [folder / "meta.lst"] if (folder / "meta.lst").is_file() else []
    found = found or sorted(folder.glob("*/meta.lst"))
    if not found:
        raise InputError(
            f"{folder} holds neither meta.lst nor en/meta.lst or zh/meta.lst; give a folder in the "
            f"list format of Seed-TTS-eval ({_FORMAT})"
        )
    return found


def _lines(path: Path) -> list[list[str]]:
    try:
        written = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text in UTF-8 ({error})") from None
    found = []
    for number, line in enumerate(written, start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("|")]
        if not 4 <= len(fields) <= 5 or not all(fields):
            raise InputError(f"{path}, line {number}: expected {_FORMAT}, got {line!r:.80}")
        if not (path.parent / fields[2]).is_file():
            raise InputError(f"{path}, line {number}: the prompt {fields[2]} is missing")
        found.append(fields)
    return found
