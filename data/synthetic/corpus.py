"""Synthesis of whole corpora: seeded dialogues in NCSSD layout with ground truth, in parallel."""

import itertools
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from data.audio import SAMPLE_RATE
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError, MissingModelError, RepError
from data.files import atomic_write, clean_leftovers, prepare_folder
from data.synthetic import world
from data.synthetic.grammar import Line
from data.synthetic.kokoro.store import default_store
from data.synthetic.kokoro.voices import KokoroVoice, kokoro_voices
from data.synthetic.manner import manners_of_dialogue, performed
from data.synthetic.phones import PAUSE, Spoken
from data.synthetic.recipe import Recipe, Script, cast_of, dialogue_seed, scripts
from data.synthetic.speech import Part, Voice, missing_synthesizers, perform_all
from data.synthetic.voices import voices

_OLD_RECIPE = {"engines": "classic", "cast": "all", "texts": []}  # of corpora that do not record it

_log = logging.getLogger(__name__)

Speller = Callable[[str], str]
"""Normalises a text for speaking; a module-level function, so that it can be pickled."""


@dataclass(frozen=True)
class Studio:
    """Execution settings, on which a corpus depends only up to rounding.

    Attributes:
        num_workers: processes.
        device: device for Kokoro.
        batch: Kokoro's batch size.
        spell: text normalisation; None for normalised texts.
    """

    num_workers: int = 1
    device: str = "cpu"
    batch: int = 1
    spell: Speller | None = None


@dataclass
class Summary:
    """Contents of a corpus; written as corpus.json beside the dialogues."""

    recipe: Recipe
    hours: float = 0.0
    dialogues: int = 0
    turns: int = 0
    command: str = ""
    voices: list[str] = field(default_factory=list)
    held_out_voices: list[str] = field(default_factory=list)


def make_dialogue(recipe: Recipe, index: int, studio: Studio = Studio()) -> Dialogue:
    """Generates one dialogue; the same recipe and number give the same samples.

    Raises:
        InputError: none of its texts can be spoken.
        MissingModelError: a synthesizer is not installed.
    """
    seed = dialogue_seed(recipe, index)
    reason = None
    for script in scripts(recipe, index):
        # Three random streams, so that words cannot depend on manner.
        manners = manners_of_dialogue(random.Random(f"manners {seed}"), len(script.lines))
        sound = random.Random(f"sound {seed}")
        pair = cast_of(recipe, index, script.language, sound)
        try:
            turns = _spoken_turns(script, pair, manners, sound, studio)
        except InputError as error:
            reason = error
            _log.warning("skipping dialogue %s: %s", script.source, error)
            continue
        extra = {
            "topic": script.source,
            "language": script.language,
            "seed": seed,
            "split": recipe.split,
        }
        return Dialogue(str(index), turns, extra)
    raise InputError(f"no text can be spoken for dialogue {index}; the last one: {reason}")


def make_corpus(
    root: str | Path,
    hours: float,
    recipe: Recipe,
    studio: Studio = Studio(),
    command: str = "",
    progress: Callable[[float], None] = lambda hours_done: None,
) -> Summary:
    """Generates dialogues 0, 1, 2, ... up to a number of hours; resumes after an interruption.

    The same recipe and hours give the same dialogues with any number of workers and interruptions.

    Args:
        root: folder of the dialogues and corpus.json.
        hours: minimum hours of audio.
        recipe: determines the content.
        studio: execution settings.
        command: recorded in corpus.json.
        progress: called with the hours done after each dialogue.

    Raises:
        InputError: invalid hours, split or workers, or `root` has another corpus.
        MissingModelError: a synthesizer is not installed.
    """
    root, num_workers = Path(root), studio.num_workers
    summary, spoken = Summary(recipe, command=command), set[str]()
    _claim(root, hours, num_workers, summary)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=_start_worker) as pool:
        pending: deque[_Pending] = deque()
        indices = itertools.count()
        try:
            while summary.hours < hours:
                while len(pending) < 4 * num_workers:
                    pending.append(_submit(pool, root, recipe, next(indices), studio))
                facts = _result(pending.popleft().future)
                summary.dialogues += 1
                summary.turns += len(facts)
                summary.hours += sum(duration for duration, _ in facts) / 3600
                spoken.update(voice for _, voice in facts)
                progress(summary.hours)
                if summary.dialogues % 200 == 0:
                    _write_summary(root, summary, spoken)
        finally:
            _drop(root, pending, complete=summary.hours >= hours)
            _write_summary(root, summary, spoken)
    return summary


class _Pending(NamedTuple):
    """A dialogue in the making; `is_new` if its folder was not there before."""

    index: int
    future: Future
    is_new: bool


def _submit(
    pool: ProcessPoolExecutor, root: Path, recipe: Recipe, index: int, studio: Studio
) -> _Pending:
    is_new = not (root / str(index)).exists()
    return _Pending(index, pool.submit(_turn_facts, root, recipe, index, studio), is_new)


def _drop(root: Path, pending: Iterable[_Pending], complete: bool) -> None:
    """Cancels pending dialogues; from a complete corpus removes those beyond its end, which would
    depend on the number of workers."""
    for one in pending:
        if not one.future.cancel() and complete:
            one.future.exception()
            if one.is_new:
                shutil.rmtree(root / str(one.index), ignore_errors=True)


def _spoken_turns(
    script: Script,
    pair: tuple[Voice, Voice],
    manners: list[str],
    rng: random.Random,
    studio: Studio,
) -> list[Turn]:
    parts = []
    for line, manner in zip(script.lines, manners, strict=True):
        voice = pair[line.speaker]
        text = line.text if studio.spell is None else studio.spell(line.text)
        natural = isinstance(voice, KokoroVoice)
        parts.append(Part(voice, text, performed(manner, rng, natural), rng.getrandbits(32)))
    spoken = perform_all(parts, studio.device, studio.batch)
    return [
        _turn(line, manner, part, sound)
        for line, manner, part, sound in zip(script.lines, manners, parts, spoken, strict=True)
    ]


def _turn(line: Line, manner: str, part: Part, spoken: Spoken) -> Turn:
    sounding = [phone for phone in spoken.phones if phone[0] != PAUSE]
    seconds = sum(end - start for _, start, end in sounding)
    truth = {
        "voice": part.voice.id,
        "synthesizer": part.voice.synthesizer,
        "manner": manner,
        "f0_hz": round(world.mean_f0(spoken.samples, SAMPLE_RATE), 1),
        "rate": round(len(sounding) / seconds, 3),
        "phones": _rounded(spoken),
    }
    if part.text != line.text:
        truth["spoken"] = part.text
    return Turn(line.speaker, line.text, samples=spoken.samples, extra=truth)


def _rounded(spoken: Spoken) -> list[list]:
    return [[name, round(start, 4), round(end, 4)] for name, start, end in spoken.phones]


def _turn_facts(root: Path, recipe: Recipe, index: int, studio: Studio) -> list[tuple[float, str]]:
    """Generates a dialogue unless it exists; returns duration and voice of each turn."""
    folder = root / str(index)
    if not folder.exists():
        write_ncssd_dialogue(root, make_dialogue(recipe, index, studio))
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    return [(entry["duration"], entry["voice"]) for entry in metadata["utterents"].values()]


def _result(future: Future) -> list[tuple[float, str]]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise RepError(
            "a worker ended unexpectedly, perhaps out of memory; repeat the command with fewer "
            "--workers to resume"
        ) from None


def _claim(root: Path, hours: float, num_workers: int, summary: Summary) -> None:
    """Prepares the folder, or raises the errors of `make_corpus`."""
    _check(root, hours, summary.recipe, num_workers)
    _check_engines(summary.recipe)
    prepare_folder(root)
    clean_leftovers(root)  # of a killed run
    if not (root / "corpus.json").exists():
        _write_summary(root, summary, set())


def _check(root: Path, hours: float, recipe: Recipe, num_workers: int) -> None:
    if not 0 < hours <= 10_000:
        raise InputError(f"--hours is {hours:g}; give a number above 0 and up to 10000")
    recipe.check()
    if num_workers < 1:
        raise InputError(f"--workers is {num_workers}; give at least 1")
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is not a folder; choose another --out")
    summary = root / "corpus.json"
    if summary.is_file():
        _check_same(root, summary, recipe)
    elif root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
        raise InputError(f"{root} holds files that are no synthetic corpus; choose another --out")


def _check_same(root: Path, summary: Path, recipe: Recipe) -> None:
    """Raises InputError unless the corpus at `root` has this recipe."""
    try:
        there = json.loads(summary.read_text(encoding="utf-8"))
        found = {key: there.get(key, value) for key, value in _OLD_RECIPE.items()}
        found |= {"seed": there["seed"], "split": there["split"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{summary} is damaged; remove it or choose another --out") from None
    wanted = recipe.summary()
    others = [key for key in wanted if found[key] != wanted[key]]
    if others:
        differences = ", ".join(f"{key} {found[key]}, not {wanted[key]}" for key in others)
        raise InputError(f"{root} holds a corpus of {differences}; choose another --out")


def _check_engines(recipe: Recipe) -> None:
    """Raises MissingModelError if a required engine is missing; there is no fallback."""
    if recipe.engines != "classic":
        try:
            default_store().check()
        except MissingModelError as error:
            raise MissingModelError(f"{error}; or use --engines classic") from None
    if recipe.engines != "teacher":
        missing = missing_synthesizers()
        if missing and recipe.engines == "all":
            raise MissingModelError(f"{missing}; or use --engines teacher")


def _write_summary(root: Path, summary: Summary, spoken: set[str]) -> None:
    everybody = [*voices().values(), *kokoro_voices().values()]
    held_out = {voice.id for voice in everybody if voice.held_out}
    summary.voices = sorted(spoken)
    summary.held_out_voices = sorted(spoken & held_out)
    facts = {key: value for key, value in vars(summary).items() if key != "recipe"}
    facts["hours"] = round(summary.hours, 3)
    content = {**summary.recipe.summary(), **facts, "sample_rate": SAMPLE_RATE}
    atomic_write(root / "corpus.json", json.dumps(content, indent=1) + "\n")


def _start_worker() -> None:
    torch.set_num_threads(1)  # the pool uses the cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exits when the parent is killed; a pool's workers would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
