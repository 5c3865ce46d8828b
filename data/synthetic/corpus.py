"""The corpus: dialogues spoken and written in NCSSD layout, by as many processes as there are cores."""

import json
import multiprocessing
import random
import shutil
from pathlib import Path

from rich.progress import BarColumn, Progress, TimeRemainingColumn

from data.audio import SAMPLE_RATE, write_audio
from data.synthetic.grammar import write_dialogue
from data.synthetic.speech import ANSWERED_WITH, MANNERS, speak
from data.synthetic.voices import draw_voice, voices

SECONDS_A_DIALOGUE = 20.0  # about; says how many dialogues an hour takes
_SPLIT_SEED = {"train": 0, "test": 1_000_000_000}
_PERSISTS = 0.35  # chance that the user stays in a manner


def make_dialogue(root: Path, index: int, seed: int, split: str) -> float:
    """Speaks dialogue `index` into `root/index`, all or nothing; returns its seconds.

    It depends on nothing but the arguments.
    """
    folder = root / str(index)
    rng = random.Random(_SPLIT_SEED[split] + seed * 10_000_000 + index)
    topic, lines = write_dialogue(rng, split)
    names = [draw_voice(rng, split, None)]
    names.append(draw_voice(rng, split, names[0]))
    partial = root / f".{index}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    utterances, manner, user_manner, total = {}, "neutral", "neutral", 0.0
    for turn, line in enumerate(lines):
        if line.speaker == 0:
            if turn == 0 or rng.random() > _PERSISTS:
                user_manner = rng.choice(list(MANNERS))
            manner = user_manner
        else:
            manner = ANSWERED_WITH[user_manner]
        voice = names[line.speaker]
        samples, phones = speak(voice, line.text, manner, rng.randrange(1 << 30))
        stem = f"{turn}_{line.speaker}_d{index}"
        write_audio(partial / f"{stem}.wav", samples)
        for suffix in ("lab", "txt"):
            (partial / f"{stem}.{suffix}").write_text(line.text)
        seconds = len(samples) / SAMPLE_RATE
        total += seconds
        spoken = sum(1 for phone, _, _ in phones if phone != "pau")
        utterances[str(turn)] = {
            "index": turn,
            "duration": round(seconds, 3),
            "speaker": line.speaker,
            "text": line.text,
            "sample_rate": SAMPLE_RATE,
            "voice": voice,
            "synthesizer": voices()[voice].engine,
            "manner": manner,
            "rate": round(spoken / seconds, 2),
            "phones": phones,
        }
    metadata = {
        "dialog": index,
        "topic": topic,
        "seed": seed,
        "split": split,
        "utterents": utterances,
    }
    (partial / "metadata.json").write_text(json.dumps(metadata))
    partial.rename(folder)
    return total


def make_corpus(root: Path, hours: float, seed: int, split: str, workers: int) -> float:
    """Makes a corpus of about `hours`, leaving what is complete; returns the hours that are there."""
    root.mkdir(parents=True, exist_ok=True)
    count = max(1, round(hours * 3600 / SECONDS_A_DIALOGUE))
    missing = [index for index in range(count) if not (root / str(index)).is_dir()]
    jobs = [(root, index, seed, split) for index in missing]
    with (
        multiprocessing.get_context("spawn").Pool(workers) as pool,
        Progress(*Progress.get_default_columns()[:2], BarColumn(), TimeRemainingColumn()) as bar,
    ):
        task = bar.add_task(f"{split}: dialogues", total=count, completed=count - len(missing))
        for _ in pool.imap_unordered(_make, jobs, chunksize=4):
            bar.advance(task)
    total = sum(
        turn["duration"]
        for index in range(count)
        for turn in json.loads((root / str(index) / "metadata.json").read_text())[
            "utterents"
        ].values()
    )
    summary = {
        "hours": round(total / 3600, 2),
        "dialogues": count,
        "seed": seed,
        "split": split,
        "command": f"launch.py data synthetic --hours {hours:g} --seed {seed} --split {split}",
        "voices": sorted(voices()),
    }
    (root / "corpus.json").write_text(json.dumps(summary, indent=2) + "\n")
    return total / 3600


def _make(job: tuple[Path, int, int, str]) -> float:
    return make_dialogue(*job)
