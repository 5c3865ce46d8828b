"""Makes a folder of simulated recordings with their truth as JSON, RTTM and STM."""

import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.files import atomic_write, prepare_folder
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.conditions import record_voices
from data.ncssd.truth.scenes import Scene, VoicePool, monologues, natural_scenes
from data.ncssd.truth.separation import write_voices
from data.ncssd.truth.sound import FILES, add_background, mix, write_media
from data.ncssd.truth.timeline import make_timeline

CONDITIONS = (
    ("clean", 50.0),
    ("music", 10.0),
    ("clean", 50.0),
    ("noise", 20.0),
    ("clean", 50.0),
    ("noise", 10.0),
    ("clean", 50.0),
    ("music", 20.0),
    ("noise", 5.0),
    ("noise", 30.0),
)


@dataclass(frozen=True)
class TruthPlan:
    """The recordings to make."""

    recordings: int = 12
    minutes: float = 10.0  # per recording
    seed: int = 0
    limit: int = 0  # most dialogues of each corpus to use; 0 for all
    scenes: str = "changing"  # or "natural", "monologues"
    voices: tuple[str, ...] = ("*",)  # glob patterns of names
    least: int = 8  # least utterances per voice in scenes of one pair


def make_truth(corpora: list[Path], out: Path, plan: TruthPlan) -> list[Path]:
    """Makes the missing recordings.

    Conditions, file types, sample rates and channels cycle with different periods, so that all
    combinations occur.

    Returns:
        The media files.

    Raises:
        InputError: the corpora have too few voices.
    """
    prepare_folder(out)
    least = 1 if plan.scenes == "changing" else plan.least
    clips = read_corpora(corpora, plan.limit, plan.voices, least)
    if plan.scenes == "changing":
        return [_changing(clips, out, plan, index) for index in range(plan.recordings)]
    kinds = {"natural": natural_scenes, "monologues": monologues}[plan.scenes](plan.minutes)
    pool = VoicePool(clips)
    return [
        _scene(pool, scene, out, plan.seed, index)
        for index, scene in enumerate(itertools.islice(kinds, plan.recordings))
    ]


def _changing(clips: dict[str, list[Clip]], out: Path, plan: TruthPlan, index: int) -> Path:
    """A recording of changing pairs, third voices and silences."""
    kind, facts = recording_facts(index)
    condition, snr_db = facts["condition"], facts["snr_db"]
    media = out / f"r{plan.seed:02d}-{index:03d}-{condition}{snr_db:.0f}.{kind}"
    if not media.with_suffix(".truth.json").is_file():
        line = make_timeline(clips, plan.minutes * 60, random.Random(f"{plan.seed}-{index}"))
        rng = np.random.default_rng([plan.seed, index])
        samples = add_background(*mix(line, rng), condition, snr_db, rng)
        write_media(media, samples, facts["rate"], facts["channels"])
        _write_truth(media, {"file": media.name, **facts, **line.truth()})
    return media


def _scene(pool: VoicePool, scene: Scene, out: Path, seed: int, index: int) -> Path:
    """A recording of one pair or one person."""
    media = out / f"s{seed:02d}-{index:03d}-{scene.pair}-{scene.condition}.flac"
    if not media.with_suffix(".truth.json").is_file():
        line = pool.timeline(scene, random.Random(f"scene-{seed}-{index}"))
        rng = np.random.default_rng([seed, 29, index])
        samples, voices = record_voices(line, scene.condition, scene.snr_db, rng)
        write_media(media, samples, 24_000)
        truth = {"file": media.name, **scene.facts, **line.truth()}
        if samples.ndim == 1:
            write_voices(media, truth, voices)
        _write_truth(media, truth)
    return media


def recording_facts(index: int) -> tuple[str, dict[str, Any]]:
    """The file type of a recording, and its condition, SNR (dB), sample rate and channels."""
    kinds = list(FILES)
    kind = kinds[(index + index // len(kinds)) % len(kinds)]
    condition, snr_db = CONDITIONS[index % len(CONDITIONS)]
    rates = FILES[kind][2]
    return kind, {
        "condition": condition,
        "snr_db": snr_db,
        "rate": rates[(index // 2) % len(rates)],
        "channels": 1 + (index + index // 2) % 2,
    }


def _write_truth(media: Path, truth: dict) -> None:
    """Writes the truth; the JSON comes last and marks the recording as complete."""
    stem = media.stem
    names = {
        voice: voice.replace(" ", "_") for voice in {turn["speaker"] for turn in truth["turns"]}
    }
    rttm = "".join(
        f"SPEAKER {stem} 1 {a:.3f} {b - a:.3f} <NA> <NA> {names[voice]} <NA> <NA>\n"
        for a, b, voice in truth["segments"]
    )
    stm = "".join(
        f"{stem} 1 {names[t['speaker']]} {t['start']:.3f} {t['end']:.3f} {t['text']}\n"
        for t in truth["turns"]
    )
    atomic_write(media.with_suffix(".rttm"), rttm)
    atomic_write(media.with_suffix(".stm"), stm)
    atomic_write(media.with_suffix(".truth.json"), json.dumps(truth, ensure_ascii=False))
