"""Dialogue texts for synthesis: reading, filtering, cutting, and splits.

A file is JSONL, plain or gzip, with `{"id", "language", "turns": [{"speaker", "text"}]}` per line;
speakers are `user` and `agent`, languages `en` and `zh`.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.languages import LANGUAGES
from data.synthetic.grammar import Line
from data.synthetic.spelling import doubtful
from data.synthetic.splits import split_of_words

MOST_TURNS = 8
FEWEST_TURNS = 2
MOST_CHARACTERS = 300
_SPEAKERS = {"user": 0, "agent": 1, "assistant": 1, "system": 1}


@dataclass(frozen=True)
class TextDialogue:
    """The text of one conversation, user first."""

    id: str
    language: str
    lines: tuple[Line, ...]

    @property
    def split(self) -> str:
        """The split, from a hash of all words."""
        return split_of_words(" ".join(line.text for line in self.lines))


def read_texts(paths: Iterable[str | Path]) -> Iterator[TextDialogue]:
    """Reads the dialogues of files, in order.

    Raises:
        InputError: a file or line cannot be read; the message names both.
    """
    for path in map(Path, paths):
        if not path.is_file():
            raise InputError(f"{path} does not exist; give a JSONL file of dialogues, plain or .gz")
        opened = gzip.open if path.suffix == ".gz" else open
        try:
            with opened(path, "rt", encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield _dialogue(line, f"{path}, line {number}")
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path} cannot be read ({error}); expected JSONL in UTF-8, plain or gzip"
            ) from None


def spoken_pieces(dialogues: Iterable[TextDialogue], split: str) -> list[TextDialogue]:
    """Cuts the dialogues of a split into stretches of 2 to 8 usable turns.

    Turns with doubtful spelling and overlong turns end a stretch; each stretch starts with the
    user. A dialogue belongs to one split as a whole.
    """
    pieces = []
    for dialogue in dialogues:
        if dialogue.split != split:
            continue
        rng = random.Random(f"pieces {dialogue.id}")
        for number, run in enumerate(_good_runs(dialogue)):
            pieces += _cut(dialogue, run, number, rng)
    return pieces


def held_out_turns(
    dialogues: Iterable[TextDialogue], language: str, split: str = "test"
) -> list[str]:
    """Distinct turns of a held-out split that do not occur in training dialogues.

    Args:
        dialogues: dialogues of all splits.
        language: `en` or `zh`.
        split: `test` or `validation`.
    """
    known, held_out = set(), {}
    for dialogue in dialogues:
        if dialogue.language != language:
            continue
        for line in dialogue.lines:
            if dialogue.split == "train":
                known.add(_key(line.text))
            elif dialogue.split == split and _good(line.text, language):
                held_out[_key(line.text)] = line.text
    return [text for key, text in held_out.items() if key not in known]


def _dialogue(line: str, where: str) -> TextDialogue:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error})") from None
    turns = content.get("turns") if isinstance(content, dict) else None
    if not isinstance(turns, list) or not turns:
        raise InputError(f'{where}: expected {{"id", "language", "turns": [...]}}, got {line:.60}')
    language = content.get("language")
    if language not in LANGUAGES:
        known = " or ".join(LANGUAGES)
        raise InputError(f"{where}: the language is {language!r}; it must be {known}")
    digest = hashlib.sha256(line.encode()).hexdigest()[:12]
    lines = tuple(_line(turn, f"{where}, turn {i}") for i, turn in enumerate(turns))
    return TextDialogue(str(content.get("id", digest)), language, lines)


def _line(turn: Any, where: str) -> Line:
    speaker = turn.get("speaker") if isinstance(turn, dict) else None
    text = turn.get("text") if isinstance(turn, dict) else None
    if not isinstance(speaker, str) or speaker.lower() not in _SPEAKERS:
        raise InputError(f"{where}: the speaker is {speaker!r}; write 'user' or 'agent'")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: the text is {text!r}; it must have words")
    return Line(_SPEAKERS[speaker.lower()], " ".join(text.split()))


def _good_runs(dialogue: TextDialogue) -> Iterator[Sequence[Line]]:
    """Stretches of usable turns, alternating between user and agent."""
    run: list[Line] = []
    for line in dialogue.lines:
        good = _good(line.text, dialogue.language)
        if not good or line.speaker != len(run) % 2:
            if len(run) >= FEWEST_TURNS:
                yield run
            run = [line] if good and line.speaker == 0 else []
        else:
            run.append(line)
    if len(run) >= FEWEST_TURNS:
        yield run


def _cut(
    dialogue: TextDialogue, run: Sequence[Line], number: int, rng: random.Random
) -> Iterator[TextDialogue]:
    """Cuts a stretch into pieces of 2 to 8 turns; a single remaining turn joins the last piece."""
    start = 0
    while len(run) - start >= FEWEST_TURNS:
        length = 2 * rng.randint(2, MOST_TURNS // 2)
        if len(run) - start - length < FEWEST_TURNS:
            length = min(len(run) - start, MOST_TURNS)
        id = f"{dialogue.id}/{number}.{start}"
        yield TextDialogue(id, dialogue.language, tuple(run[start : start + length]))
        start += length


def _good(text: str, language: str) -> bool:
    return len(text) <= MOST_CHARACTERS and not (language == "en" and doubtful(text))


def _key(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
