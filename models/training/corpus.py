"""A data set in NCSSD layout, prepared for training: audio, F0, units and their times.

Dialogues are prepared once, in shards of a hundred stored beside the data, so that training can
memory-map them and use a data set that is still growing. A shard's name is a fingerprint of its
source files: when one changes, the shard and everything derived from it are rebuilt.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyworld
from rich.progress import track

from data.audio import SAMPLE_RATE, read_audio
from data.audio.pcm import to_float, to_int16
from data.dialogue import Dialogue, read_dialogue
from data.errors import InputError, OutputError
from data.files import atomic_folder
from models.mel import FRAME_SAMPLES, HOP_SAMPLES
from models.predictors.phones import pointer_of, unit_ends
from models.predictors.sequence import MAX_ADVANCE
from models.predictors.units import Units, units_of
from models.text import phonemize

PREPARED = ".prepared"
SHARD_DIALOGUES = 100
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
_LAYOUT = 3  # version of the shard format


@dataclass(frozen=True)
class Utterance:
    """One turn. `samples` is int16 `[T]`, `f0` is Hz at 100 Hz (0: unvoiced), `pointer` is
    `[frames]`, or None without phone times."""

    dialogue: str
    turn: int
    speaker: int
    voice: str
    manner: str
    text: str
    units: Units
    samples: np.ndarray
    f0: np.ndarray
    pointer: np.ndarray | None

    @property
    def num_frames(self) -> int:
        return -(-len(self.samples) // FRAME_SAMPLES)


def prepare(root: Path, workers: int = 2, limit: int | None = None) -> list[Path]:
    """Prepares all complete dialogues under `root`; returns the shards, in order.

    Raises:
        InputError: there are no dialogues, or a turn has no audio.
    """
    folders = sorted(
        (path for path in root.iterdir() if path.is_dir() and path.name.isdigit()),
        key=lambda path: int(path.name),
    )[:limit]
    if not folders:
        raise InputError(f"{root} holds no dialogues in NCSSD layout (folders named by number)")
    groups = [folders[i : i + SHARD_DIALOGUES] for i in range(0, len(folders), SHARD_DIALOGUES)]
    shards = [
        root / PREPARED / f"{number:05d}-{_fingerprint(group)}"
        for number, group in enumerate(groups)
    ]
    jobs = [job for job in zip(shards, groups, strict=True) if not job[0].exists()]
    done = _prepare_shards(jobs, workers)
    for _ in track(done, "preparing", total=len(jobs), transient=True):
        pass
    return shards


def _prepare_shards(jobs: list[tuple[Path, list[Path]]], workers: int) -> Iterator[None]:
    """Yields once per finished shard; uses processes only for several shards."""
    if min(workers, len(jobs)) < 2:
        yield from map(_prepare_shard, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_prepare_shard, jobs)


def _fingerprint(folders: list[Path]) -> str:
    """Fingerprint of the dialogues' files: names, sizes, modification times."""
    digest = hashlib.sha256(str(_LAYOUT).encode())
    for folder in folders:
        for path in sorted(folder.iterdir()):
            status = path.stat()
            line = f"{folder.name}/{path.name} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(line.encode())
    return digest.hexdigest()[:16]


def _prepare_shard(job: tuple[Path, list[Path]]) -> None:
    shard, folders = job
    dialogues = [read_dialogue(folder) for folder in folders]
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    units = iter([units_of(phonemes) for phonemes in phonemize(texts, None)])
    items, sounds, pitches, pointers = [], [], [], []
    for dialogue in dialogues:
        for index, turn in enumerate(dialogue.turns):
            if turn.audio is None:
                raise InputError(
                    f"turn {index} of dialogue {dialogue.id} has no sound; `launch.py data check` "
                    "says what else is wrong"
                )
            samples = read_audio(turn.audio)
            # Resampling may overshoot full scale.
            sounds.append(to_int16(samples.clip(-1.0, 1.0)))
            pitches.append(track_f0(samples))
            item = _item(dialogue, index, next(units))
            phones = turn.extra.get("phones")
            if phones:
                frames = -(-len(samples) // FRAME_SAMPLES)
                ends = unit_ends([tuple(p) for p in phones], item["units"])
                pointers.append(pointer_of(ends, frames, FRAME_S, MAX_ADVANCE))
            item["has_times"] = bool(phones)
            item["units"] = vars(item["units"])
            items.append(item)
    lengths = [[len(a), len(b)] for a, b in zip(sounds, pitches, strict=True)]
    try:
        with atomic_folder(shard) as temporary:
            _save(temporary / "samples.npy", sounds, np.int16)
            _save(temporary / "f0.npy", pitches, np.float16)
            _save(temporary / "pointer.npy", pointers, np.int16)
            _save(temporary / "lengths.npy", lengths, np.int64)
            (temporary / "items.json").write_text(json.dumps(items, ensure_ascii=False))
    except OutputError:
        if not shard.is_dir():  # another training has meanwhile prepared the same
            raise


def _item(dialogue: Dialogue, index: int, units: Units) -> dict:
    turn = dialogue.turns[index]
    voice = turn.extra.get("voice") or f"{dialogue.id}-{turn.speaker}"
    return {
        "dialogue": dialogue.id,
        "turn": index,
        "speaker": int(turn.speaker),
        "voice": voice,
        "manner": turn.extra.get("manner", ""),
        "text": turn.text,
        "units": units,
    }


def _save(path: Path, rows: list, dtype: type) -> None:
    joined = np.concatenate([np.asarray(row, dtype=dtype) for row in rows]) if rows else []
    np.save(path, np.asarray(joined, dtype=dtype))


def track_f0(samples: np.ndarray) -> np.ndarray:
    """F0 in Hz at 100 Hz, 0 where unvoiced (WORLD's DIO and StoneMask)."""
    wide = samples.astype(np.float64)
    f0, times = pyworld.dio(
        wide, SAMPLE_RATE, f0_floor=55.0, f0_ceil=600.0, frame_period=10.0, speed=2
    )
    f0 = pyworld.stonemask(wide, f0, times, SAMPLE_RATE)
    return f0[: -(-len(samples) // HOP_SAMPLES)].astype(np.float32)


class Corpus:
    """The prepared utterances of a data set, memory-mapped."""

    def __init__(self, shards: list[Path]) -> None:
        self.utterances: list[Utterance] = []
        self.by_shard: dict[str, list[int]] = {}
        for shard in shards:
            first = len(self.utterances)
            self.utterances += _load_shard(shard)
            self.by_shard[shard.name] = list(range(first, len(self.utterances)))
        self.voices = sorted({u.voice for u in self.utterances})
        self.voice_index = {voice: i for i, voice in enumerate(self.voices)}
        self.by_voice: dict[str, list[int]] = {}
        for index, utterance in enumerate(self.utterances):
            self.by_voice.setdefault(utterance.voice, []).append(index)
        self.by_dialogue: dict[str, list[int]] = {}
        for index, utterance in enumerate(self.utterances):
            self.by_dialogue.setdefault(utterance.dialogue, []).append(index)

    @property
    def hours(self) -> float:
        return sum(len(u.samples) for u in self.utterances) / SAMPLE_RATE / 3600

    def voice_statistics(self) -> dict[str, tuple[float, float]]:
        """Mean log-F0 over voiced frames and mean speech level in dB of each voice."""
        found = {}
        for voice, indices in self.by_voice.items():
            pitches, levels = [], []
            for index in indices[:60]:
                utterance = self.utterances[index]
                f0 = utterance.f0.astype(np.float32)
                pitches.append(np.log(f0[f0 > 0]))
                level = frame_levels(utterance.samples)
                levels.append(level[level > level.max() - 30.0])
            pitch = np.concatenate(pitches)
            mean_pitch = float(pitch.mean()) if len(pitch) else 5.0
            found[voice] = (mean_pitch, float(np.concatenate(levels).mean()))
        return found


def frame_levels(samples: np.ndarray) -> np.ndarray:
    """Level of each 40 ms frame in dBFS, at least -80, `[frames]`."""
    wide = to_float(samples) if samples.dtype == np.int16 else samples
    padded = np.pad(wide, (0, -len(wide) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    return 10 * np.log10(np.maximum(np.square(padded).mean(1), 1e-8))


def _load_shard(shard: Path) -> list[Utterance]:
    items = json.loads((shard / "items.json").read_text())
    samples = np.load(shard / "samples.npy", mmap_mode="r")
    f0 = np.load(shard / "f0.npy", mmap_mode="r")
    pointer = np.load(shard / "pointer.npy", mmap_mode="r")
    lengths = np.load(shard / "lengths.npy").reshape(-1, 2)
    found, at_sample, at_f0, at_pointer = [], 0, 0, 0
    for item, (num_samples, num_f0) in zip(items, lengths.tolist(), strict=True):
        has_times = item.pop("has_times")
        fields: dict[str, Any] = {
            k: tuple(tuple(w) if k == "words" else w for w in v)
            for k, v in item.pop("units").items()
        }
        frames = -(-num_samples // FRAME_SAMPLES)
        found.append(
            Utterance(
                **item,
                units=Units(**fields),
                samples=samples[at_sample : at_sample + num_samples],
                f0=f0[at_f0 : at_f0 + num_f0],
                pointer=pointer[at_pointer : at_pointer + frames] if has_times else None,
            )
        )
        at_sample, at_f0 = at_sample + num_samples, at_f0 + num_f0
        at_pointer += frames if has_times else 0
    return found
