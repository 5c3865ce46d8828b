"""Whole corpora: seeded dialogues, spoken by several processes, in NCSSD layout with the truth."""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from data.audio import SAMPLE_RATE
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError, RepError
from data.files import atomic_write, clean_leftovers, prepare_folder
from data.synthetic import world
from data.synthetic.grammar import SPLITS, write_dialogue
from data.synthetic.manner import manners_of_dialogue, performed
from data.synthetic.phones import PAUSE, Spoken
from data.synthetic.speech import perform
from data.synthetic.voices import CorpusVoice, draw_pair, voices

_TEST_BIT = 1 << 62


@dataclass(frozen=True)
class Recipe:
    """What a corpus depends on: with its number, all that a dialogue depends on."""

    seed: int
    split: str = "train"


@dataclass
class Summary:
    """What a corpus holds; written as corpus.json beside the dialogues."""

    seed: int
    split: str
    hours: float = 0.0
    dialogues: int = 0
    turns: int = 0
    command: str = ""
    voices: list[str] = field(default_factory=list)
    held_out_voices: list[str] = field(default_factory=list)


def dialogue_seed(recipe: Recipe, index: int) -> int:
    """The seed of one dialogue. Train seeds lie below 2^62, test seeds at or above it."""
    digest = hashlib.sha256(f"{recipe.split} {recipe.seed} {index}".encode()).digest()
    seed = int.from_bytes(digest[:8], "big") % _TEST_BIT
    return seed + _TEST_BIT if recipe.split == "test" else seed


def make_dialogue(recipe: Recipe, index: int) -> Dialogue:
    """Writes and speaks one dialogue; the same recipe and number give the same samples.

    Raises:
        MissingModelError: a synthesizer is not installed.
    """
    seed = dialogue_seed(recipe, index)
    # three streams of chance, so that words cannot depend on manner
    topic, lines = write_dialogue(random.Random(f"words {seed}"), recipe.split)
    manners = manners_of_dialogue(random.Random(f"manners {seed}"), len(lines))
    sound = random.Random(f"sound {seed}")
    pair = draw_pair(sound, recipe.split)
    turns = [
        _spoken_turn(pair[line.speaker], line.speaker, line.text, manner, sound)
        for line, manner in zip(lines, manners, strict=True)
    ]
    extra = {"topic": topic, "seed": seed, "split": recipe.split}
    return Dialogue(str(index), turns, extra)


def make_corpus(
    root: str | Path,
    hours: float,
    recipe: Recipe,
    num_workers: int = 1,
    command: str = "",
    progress: Callable[[float], None] = lambda hours_done: None,
) -> Summary:
    """Makes dialogues 0, 1, 2, ... until they hold so many hours; goes on where it was stopped.

    The same recipe and hours give the same dialogues with any number of workers and interruptions.

    Args:
        root: where the dialogues and corpus.json go.
        hours: of sound, at least.
        recipe: seed and split.
        num_workers: processes.
        command: noted in corpus.json.
        progress: called with the hours that are there, after each dialogue.

    Raises:
        InputError: hours, split or workers make no sense, or `root` holds another corpus.
        MissingModelError: a synthesizer is not installed.
    """
    root = Path(root)
    _check(root, hours, recipe, num_workers)
    prepare_folder(root)
    clean_leftovers(root)  # of a run that was killed
    summary = Summary(recipe.seed, recipe.split, command=command)
    if not (root / "corpus.json").exists():
        _write_summary(root, summary, set())  # from now on the folder is known for ours
    spoken: set[str] = set()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=_start_worker) as pool:
        pending: list[tuple[int, Future, bool]] = []
        index = 0
        try:
            while summary.hours < hours:
                while len(pending) < 4 * num_workers:
                    made = (root / str(index)).exists()
                    future = pool.submit(_turn_facts, root, recipe, index)
                    pending.append((index, future, not made))
                    index += 1
                _, future, _ = pending.pop(0)
                facts = _result(future)
                summary.dialogues += 1
                summary.turns += len(facts)
                summary.hours += sum(duration for duration, _ in facts) / 3600
                spoken.update(voice for _, voice in facts)
                progress(summary.hours)
                if summary.dialogues % 200 == 0:
                    _write_summary(root, summary, spoken)
        finally:
            complete = summary.hours >= hours
            for number, future, ours in pending:
                # what was begun beyond the end would make the corpus depend on the workers
                if not future.cancel() and complete:
                    future.exception()
                    if ours:
                        shutil.rmtree(root / str(number), ignore_errors=True)
            _write_summary(root, summary, spoken)
    return summary


def _spoken_turn(
    voice: CorpusVoice, speaker: int, text: str, manner: str, rng: random.Random
) -> Turn:
    spoken = perform(voice, text, performed(manner, rng))
    sounding = [phone for phone in spoken.phones if phone[0] != PAUSE]
    seconds = sum(end - start for _, start, end in sounding)
    truth = {
        "voice": voice.id,
        "synthesizer": voice.synthesizer,
        "manner": manner,
        "f0_hz": round(world.mean_f0(spoken.samples, SAMPLE_RATE), 1),
        "rate": round(len(sounding) / seconds, 3),
        "phones": _rounded(spoken),
    }
    return Turn(speaker, text, samples=spoken.samples, extra=truth)


def _rounded(spoken: Spoken) -> list[list]:
    return [[name, round(start, 4), round(end, 4)] for name, start, end in spoken.phones]


def _turn_facts(root: Path, recipe: Recipe, index: int) -> list[tuple[float, str]]:
    """Makes a dialogue unless it is there; returns duration and voice of each of its turns."""
    folder = root / str(index)
    if not folder.exists():
        write_ncssd_dialogue(root, make_dialogue(recipe, index))
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    return [(entry["duration"], entry["voice"]) for entry in metadata["utterents"].values()]


def _result(future: Future) -> list[tuple[float, str]]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise RepError(
            "a worker ended unexpectedly, perhaps for want of memory; give the same command again "
            "with fewer --workers: it goes on where it was"
        ) from None


def _check(root: Path, hours: float, recipe: Recipe, num_workers: int) -> None:
    if not 0 < hours <= 10_000:
        raise InputError(f"--hours is {hours:g}; give a number above 0 and up to 10000")
    if recipe.split not in SPLITS:
        raise InputError(f"--split is {recipe.split!r}; choose one of {', '.join(SPLITS)}")
    if num_workers < 1:
        raise InputError(f"--workers is {num_workers}; give at least 1")
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is not a folder; choose another --out")
    summary = root / "corpus.json"
    if summary.is_file():
        try:
            there = json.loads(summary.read_text(encoding="utf-8"))
            same = (there["seed"], there["split"]) == (recipe.seed, recipe.split)
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{summary} is damaged; remove it or choose another --out") from None
        if not same:
            raise InputError(
                f"{root} holds a corpus of seed {there['seed']}, split {there['split']}, not of "
                f"seed {recipe.seed}, split {recipe.split}; choose another --out"
            )
    elif root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
        raise InputError(f"{root} holds files that are no synthetic corpus; choose another --out")


def _write_summary(root: Path, summary: Summary, spoken: set[str]) -> None:
    held_out = {voice.id for voice in voices().values() if voice.held_out}
    summary.voices = sorted(spoken)
    summary.held_out_voices = sorted(spoken & held_out)
    content = {**vars(summary), "hours": round(summary.hours, 3), "sample_rate": SAMPLE_RATE}
    atomic_write(root / "corpus.json", json.dumps(content, indent=1) + "\n")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's workers wait for ever when their parent is killed outright."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
