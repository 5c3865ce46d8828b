"""Dialogue texts from public corpora in their published format.

Schema-Guided Dialogue (google-research-datasets/dstc8-schema-guided-dialogue, CC BY-SA 4.0):
English task talk; its `train` folder. KdConv (thu-coai/KdConv, Apache-2.0): Mandarin chat about
film, music and travel; the `dev.json` of each. Nothing else is read, so that their test splits
remain usable for evaluation.
"""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.files import atomic_path

_DOMAINS = ("film", "music", "travel")
_FEWEST_TURNS = 4


def convert(folder: Path, out: Path, count: int | None = None, seed: int = 0) -> int:
    """Converts the dialogues of a published corpus to the format of `data.synthetic.texts`.

    Args:
        folder: a clone of one of the repositories.
        out: JSONL to write, compressed if its name ends in .gz.
        count: number of randomly sampled dialogues; None: all.
        seed: random seed of sampling and order.

    Returns:
        The number of dialogues.

    Raises:
        InputError: the folder holds neither corpus, or a damaged file.
    """
    if count is not None and count < 1:
        raise InputError(f"--count is {count}; give at least 1")
    dialogues = list(_read(folder))
    random.Random(seed).shuffle(dialogues)
    kept = dialogues[:count]
    lines = "".join(json.dumps(dialogue, ensure_ascii=False) + "\n" for dialogue in kept)
    content = lines.encode()
    with atomic_path(out) as temporary:
        # No timestamp, so that the same texts give the same file.
        temporary.write_bytes(gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    return len(kept)


def _read(folder: Path) -> Iterator[dict[str, Any]]:
    guided = sorted((folder / "train").glob("dialogues_*.json"))
    chats = [folder / "data" / domain / "dev.json" for domain in _DOMAINS]
    if guided:
        for path in guided:
            yield from _parsed(path, _schema_guided)
    elif all(path.is_file() for path in chats):
        for path in chats:
            yield from _parsed(path, _kdconv)
    else:
        raise InputError(
            f"{folder} holds neither train/dialogues_*.json (Schema-Guided Dialogue) nor "
            "data/film/dev.json, data/music/dev.json, data/travel/dev.json (KdConv); give a clone "
            "of google-research-datasets/dstc8-schema-guided-dialogue or of thu-coai/KdConv"
        )


def _parsed(path: Path, read) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        yield from read(path, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not as published ({type(error).__name__}: {error}); clone it again"
        ) from None


def _schema_guided(path: Path, content: list[dict]) -> Iterator[dict[str, Any]]:
    """Dialogues of plain Latin text."""
    speakers = {"USER": "user", "SYSTEM": "agent"}
    for dialogue in content:
        turns = [
            {"speaker": speakers[turn["speaker"]], "text": " ".join(turn["utterance"].split())}
            for turn in dialogue["turns"]
        ]
        if len(turns) >= _FEWEST_TURNS and all(
            turn["text"].isascii() and turn["text"] for turn in turns
        ):
            yield {
                "id": f"sgd-train-{dialogue['dialogue_id']}",
                "language": "en",
                "topics": dialogue["services"],
                "turns": turns,
            }


def _kdconv(path: Path, content: list[dict]) -> Iterator[dict[str, Any]]:
    """Dialogues of two alternating speakers, without spaces, which Chinese does not use."""
    domain = path.parent.name
    for number, dialogue in enumerate(content):
        turns = [
            {"speaker": ("user", "agent")[i % 2], "text": "".join(message["message"].split())}
            for i, message in enumerate(dialogue["messages"])
        ]
        if all(turn["text"] for turn in turns):
            yield {
                "id": f"kdconv-{domain}-dev-{number}",
                "language": "zh",
                "topics": [domain],
                "turns": turns,
            }
