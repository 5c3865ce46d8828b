"""Dialogues on disk: the NCSSD layout, and a plain dialogue.json.

NCSSD: `<dialogue>/<turn>_<speaker>_d<dialogue>.wav`, its text in both `.lab` and `.txt` (published
readers open one or the other), and `metadata.json` with `{"dialog": N, "utterents": {"0": {"index",
"duration", "speaker", "text", "sample_rate", ...}}}` (`utterents` is NCSSD's spelling). Our own
keys are added beside these, which strict readers ignore.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, read_audio, resample, write_audio
from data.errors import InputError
from data.files import atomic_folder
from data.text import valid_text

_SPEAKER_NAMES = {"user": 0, "agent": 1, "assistant": 1, "system": 1}
_KNOWN = ("index", "duration", "speaker", "text", "sample_rate")


@dataclass
class Turn:
    """One turn.

    Attributes:
        speaker: 0 is the first speaker or the user, 1 the other or the agent.
        text: transcript; may be empty if there is audio.
        audio: audio file, if any.
        samples: [T] float32 at 24 kHz, if the audio is in memory.
        extra: all other keys (voice, manner, phones, ...).
    """

    speaker: int
    text: str
    audio: Path | None = None
    samples: np.ndarray | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def load(self, sample_rate: int = SAMPLE_RATE) -> np.ndarray | None:
        """The turn's samples [T], or None for a text-only turn. Raises InputError."""
        if self.samples is not None:
            return resample(self.samples, SAMPLE_RATE, sample_rate)
        return None if self.audio is None else read_audio(self.audio, sample_rate)


@dataclass
class Dialogue:
    """Turns in chronological order."""

    id: str
    turns: list[Turn]
    extra: dict[str, Any] = field(default_factory=dict)


def read_dialogue(path: str | Path) -> Dialogue:
    """Reads a dialogue.json, or the folder of one NCSSD dialogue.

    Raises:
        InputError: it does not exist, is not JSON, or has an invalid turn (named by number).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path} does not exist; give a dialogue.json or the folder of an NCSSD dialogue"
        )
    if path.is_file():
        return _from_json(path, _load_json(path))
    if (path / "dialogue.json").is_file():
        return _from_json(path / "dialogue.json", _load_json(path / "dialogue.json"))
    if (path / "metadata.json").is_file():
        return _from_ncssd(path)
    raise InputError(f"{path} is not a dialogue: it has neither dialogue.json nor metadata.json")


def read_ncssd(root: str | Path) -> Iterator[Dialogue]:
    """Reads every dialogue folder under `root`, in numerical order.

    Raises:
        InputError: there is no dialogue, or one cannot be read.
    """
    root = Path(root)
    folders = _dialogue_folders(root)
    if not folders:
        raise InputError(f"{root} holds no NCSSD dialogue (folders with a metadata.json)")
    for folder in folders:
        yield _from_ncssd(folder)


def write_ncssd_dialogue(root: str | Path, dialogue: Dialogue, bits: int = 16) -> Path:
    """Writes one dialogue in NCSSD layout at 24 kHz, atomically.

    A `|` in a text becomes a comma, since published readers use it as a separator.

    Args:
        root: the data set's folder.
        dialogue: the dialogue to write.
        bits: bit depth, 16 or 24.

    Returns:
        The dialogue's folder.

    Raises:
        InputError: the id is not numeric, there are no turns, a turn has no audio, or the folder
            already exists.
    """
    if not dialogue.id.isascii() or not dialogue.id.isdigit():
        raise InputError(f"the dialogue's id is {dialogue.id!r}; NCSSD wants digits, such as '12'")
    if not dialogue.turns:
        raise InputError(f"dialogue {dialogue.id} has no turns; nothing to write")
    folder = Path(root) / dialogue.id
    if folder.exists():
        raise InputError(f"{folder} already exists; choose another id or remove it")
    with atomic_folder(folder) as temporary:
        utterances = {
            str(index): _write_turn(temporary, dialogue.id, index, turn, bits)
            for index, turn in enumerate(dialogue.turns)
        }
        metadata = {**dialogue.extra, "dialog": int(dialogue.id), "utterents": utterances}
        (temporary / "metadata.json").write_text(
            json.dumps(metadata, ensure_ascii=False), encoding="utf-8"
        )
    return folder


def check_ncssd(root: str | Path) -> list[str]:
    """Validates an NCSSD tree; returns one line per problem.

    Checks numeric ids, consecutive turn numbers from 0, first speaker 0, that WAV, `.lab` and
    `.txt` exist and agree with the metadata, durations within 20 ms, and no `|` in a text.
    """
    root = Path(root)
    if not root.is_dir():
        return [f"{root} is not a folder"]
    folders = _dialogue_folders(root)
    if not folders:
        return [f"{root} holds no NCSSD dialogue (folders with a metadata.json)"]
    return [problem for folder in folders for problem in _check_dialogue(folder)]


def _check_dialogue(folder: Path) -> list[str]:
    problems = []
    if not folder.name.isdigit():
        problems.append(f"{folder}: the folder's name is not a number")
    try:
        metadata = _load_json(folder / "metadata.json")
        utterances = {int(key): entry for key, entry in metadata["utterents"].items()}
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        return [*problems, f"{folder}: metadata.json cannot be used ({error})"]
    numbers = sorted(utterances)
    if numbers != list(range(len(numbers))) or not numbers:
        problems.append(f"{folder}: turns are numbered {numbers}, not 0, 1, 2, ...")
    if str(metadata.get("dialog")) != folder.name:
        problems.append(f"{folder}: metadata names dialogue {metadata.get('dialog')}")
    for number in numbers:
        problems += _check_turn(folder, number, utterances[number])
    first = utterances[numbers[0]] if numbers else None
    if isinstance(first, dict) and first.get("speaker") != 0:
        problems.append(f"{folder}: the first speaker is {first.get('speaker')}, not 0")
    return problems


def _check_turn(folder: Path, number: int, entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [f"{folder}: turn {number} is {entry!r:.40}, not an object"]
    missing = [key for key in _KNOWN if key not in entry]
    if missing:
        return [f"{folder}: turn {number} lacks {', '.join(missing)}"]
    problems = []
    if not isinstance(entry["speaker"], int):
        problems.append(f"{folder}: turn {number} has speaker {entry['speaker']!r}, not a number")
    if not isinstance(entry["text"], str) or not isinstance(entry["duration"], (int, float)):
        return [*problems, f"{folder}: text or duration of turn {number} is of the wrong kind"]
    if "|" in entry["text"]:
        problems.append(f"{folder}: the text of turn {number} holds a '|'")
    stem = folder / f"{number}_{entry['speaker']}_d{folder.name}"
    for suffix in (".lab", ".txt"):
        text = stem.with_suffix(suffix)
        if not text.is_file():
            problems.append(f"{text} is missing")
            continue
        try:
            differs = text.read_text(encoding="utf-8").strip() != entry["text"].strip()
        except UnicodeDecodeError:
            problems.append(f"{text} is not text in UTF-8")
            continue
        if differs:
            problems.append(f"{text} differs from the metadata's text")
    wav = stem.with_suffix(".wav")
    try:
        info = soundfile.info(str(wav))
    except (soundfile.LibsndfileError, OSError):
        return [*problems, f"{wav} is missing or not a WAV file"]
    if info.samplerate != entry["sample_rate"]:
        problems.append(f"{wav} is at {info.samplerate} Hz, metadata says {entry['sample_rate']}")
    if abs(info.duration - entry["duration"]) > 0.02:
        problems.append(f"{wav} lasts {info.duration:.2f} s, metadata says {entry['duration']}")
    return problems


def _write_turn(
    folder: Path, dialogue_id: str, index: int, turn: Turn, bits: int = 16
) -> dict[str, Any]:
    samples = turn.load()
    if samples is None or samples.shape[0] == 0:
        raise InputError(f"turn {index} of dialogue {dialogue_id} has no audio; NCSSD requires it")
    text = clean_text(turn.text)
    stem = f"{index}_{int(turn.speaker)}_d{dialogue_id}"
    write_audio(folder / f"{stem}.wav", samples, bits=bits)
    for suffix in (".lab", ".txt"):
        (folder / f"{stem}{suffix}").write_text(text + "\n", encoding="utf-8")
    known = {
        "index": index,
        "duration": round(samples.shape[0] / SAMPLE_RATE, 4),
        "speaker": int(turn.speaker),
        "text": text,
        "sample_rate": SAMPLE_RATE,
    }
    return {**known, **{key: value for key, value in turn.extra.items() if key not in known}}


def clean_text(text: str) -> str:
    """A text on one line and without `|`, as published readers require."""
    return " ".join(valid_text(text).replace("|", ",").split())


def _dialogue_folders(root: Path) -> list[Path]:
    if (root / "metadata.json").is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the root of an NCSSD tree")
    found = [p for p in root.iterdir() if not p.name.startswith(".") and p.is_dir()]
    return sorted(
        (p for p in found if (p / "metadata.json").is_file()), key=lambda p: _number(p.name)
    )


def _number(name: str) -> tuple[int, str]:
    return (int(name) if name.isdigit() else 1 << 62, name)


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON in UTF-8 ({error}); fix or replace it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None


def _from_ncssd(folder: Path) -> Dialogue:
    metadata = _load_json(folder / "metadata.json")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("utterents"), dict):
        raise InputError(f"{folder / 'metadata.json'} has no 'utterents'; it is not NCSSD metadata")
    extra = {key: value for key, value in metadata.items() if key not in ("dialog", "utterents")}
    name = str(metadata.get("dialog", folder.name))
    return _from_utterances(folder, name, metadata["utterents"], extra)


def _from_utterances(folder: Path, name: str, utterances: Any, extra: dict[str, Any]) -> Dialogue:
    """NCSSD's turns. Speakers are renumbered 0, 1, ... in order of appearance."""
    if not isinstance(utterances, dict):
        raise InputError(f"{folder}: the metadata lists its turns as {type(utterances).__name__}")
    turns, local = [], {}
    for key in sorted(utterances, key=_number):
        entry = utterances[key]
        speaker = entry.get("speaker") if isinstance(entry, dict) else None
        if not isinstance(speaker, (int, str)):
            raise InputError(f"{folder}: turn {key} has no speaker in the metadata")
        stem = folder / f"{key}_{speaker}_d{folder.name}"
        audio = stem.with_suffix(".wav")
        rest = {k: v for k, v in entry.items() if k not in ("index", "speaker", "text")}
        if speaker != local.setdefault(speaker, len(local)):
            rest["source_speaker"] = speaker
        turns.append(
            Turn(
                speaker=local[speaker],
                text=valid_text(str(entry["text"])) if "text" in entry else _read_text(stem),
                audio=audio if audio.is_file() else None,
                extra=rest,
            )
        )
    if not turns:
        raise InputError(f"{folder} is a dialogue without turns")
    return Dialogue(name, turns, extra)


def _read_text(stem: Path) -> str:
    for suffix in (".lab", ".txt"):
        path = stem.with_suffix(suffix)
        if path.is_file():
            try:
                return path.read_text(encoding="utf-8").strip()
            except UnicodeDecodeError:
                raise InputError(f"{path} is not text in UTF-8; convert it to that") from None
    raise InputError(f"{stem} has no text: neither metadata nor .lab nor .txt")


def _from_json(path: Path, content: Any) -> Dialogue:
    if isinstance(content, dict) and isinstance(content.get("utterents"), dict):
        return _from_ncssd(path.parent)
    return dialogue_from_dict(content, path.parent, str(path))


def dialogue_from_dict(content: Any, folder: Path, name: str) -> Dialogue:
    """A Dialogue from `{"turns": [{"speaker": "user", "text": "...", "audio": "u0.wav"}, ...]}`.

    Args:
        content: parsed JSON.
        folder: base of relative audio paths.
        name: source, for messages.

    Raises:
        InputError: a turn is invalid; the message names it and the reason.
    """
    turns = content.get("turns") if isinstance(content, dict) else None
    if not isinstance(turns, list) or not turns:
        raise InputError(
            f'{name} has no turns; expected {{"turns": [{{"speaker": "user", "text": "..."}}]}}'
        )
    read = [_turn_from_dict(turn, folder, f"{name}, turn {i}") for i, turn in enumerate(turns)]
    extra = {key: value for key, value in content.items() if key not in ("id", "turns")}
    return Dialogue(str(content.get("id", Path(name).stem)), read, extra)


def _turn_from_dict(turn: Any, folder: Path, where: str) -> Turn:
    if not isinstance(turn, dict):
        raise InputError(f'{where}: expected {{"speaker": ..., "text": ...}}, got {turn!r:.60}')
    speaker = turn.get("speaker")
    if isinstance(speaker, str):
        speaker = _SPEAKER_NAMES.get(speaker.lower(), speaker)
    if isinstance(speaker, bool) or speaker not in (0, 1):
        raise InputError(f"{where}: the speaker is {speaker!r}; write 'user' (0) or 'agent' (1)")
    text = turn.get("text", "")
    audio = turn.get("audio")
    if not isinstance(text, str) or not (audio is None or isinstance(audio, str)):
        raise InputError(f"{where}: 'text' and 'audio' must be strings")
    text = valid_text(text)
    if not text.strip() and audio is None:
        raise InputError(f"{where}: it has neither text nor audio")
    if audio is not None and not (folder / audio).is_file():
        raise InputError(f"{where}: its audio {folder / audio} does not exist")
    extra = {k: v for k, v in turn.items() if k not in ("speaker", "text", "audio")}
    return Turn(int(speaker), text, None if audio is None else folder / audio, extra=extra)
