"""`launch.py synth`: many replies from a JSONL file, with a manifest; goes on where it stopped."""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.options import add_speaking, speak_options
from app.reply import hear_turns
from app.voices import load_speaker, resolve_voice
from data.audio import SAMPLE_RATE, write_audio
from data.dialogue import Turn, dialogue_from_dict, read_dialogue
from data.errors import InputError
from data.files import atomic_write
from data.limits import MAX_SPOKEN, limited_text
from models.checkpoint import WEIGHTS, sha256
from models.predictors.table import PREDICTORS
from models.predictors.thinker import Thinker
from models.speaker import Speaker, SpeakOptions
from models.voice import Voice

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEYS = {"id", "text", "voice", "dialogue", "seed"}

Row = dict[str, object]


@dataclass(frozen=True)
class Item:
    """One line: what to say, in which voice, after which turns."""

    id: str
    text: str
    voice: str
    turns: tuple[Turn, ...] = ()
    seed: int = 0


def read_items(path: Path) -> list[Item]:
    """Reads and checks all lines.

    Raises:
        InputError: with every bad line and what is wrong with it.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a JSONL file, an object a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error}); write it anew as such") from None
    items, problems, seen = [], [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = _read_item(line, path.parent)
            if item.id in seen:
                raise InputError(f"the id {item.id!r} was there before")
            seen.add(item.id)
            items.append(item)
        except InputError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        shown = problems[:20] + ([f"and {len(problems) - 20} more"] if len(problems) > 20 else [])
        raise InputError(f"{path} has bad lines, nothing was started:\n  " + "\n  ".join(shown))
    if not items:
        raise InputError(f"{path} holds no items")
    return items


def _read_item(line: str, folder: Path) -> Item:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg} at column {error.colno})") from None
    if not isinstance(row, dict):
        raise InputError(f"not an object but {type(row).__name__}")
    unknown = sorted(set(row) - _KEYS)
    if unknown:
        raise InputError(f"unknown keys {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
    for key in ("id", "text", "voice"):
        if not isinstance(row.get(key), str):
            raise InputError(f'"{key}" must be a string')
    if not _ID.fullmatch(row["id"]):
        raise InputError(f"the id {row['id']!r} must be a plain file name")
    seed = row.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise InputError('"seed" must be a whole number from 0 to 2147483647')
    turns = _read_turns(row.get("dialogue"), folder)
    return Item(
        row["id"], limited_text(row["text"], MAX_SPOKEN, '"text"'), row["voice"], turns, seed
    )


def _read_turns(given: object, folder: Path) -> tuple[Turn, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(read_dialogue(folder / given).turns)
    if not isinstance(given, list):
        raise InputError('"dialogue" must be a path or a list of turns')
    if not given:
        return ()
    return tuple(dialogue_from_dict({"turns": given}, folder, '"dialogue"').turns)


def made_from(item: Item, voice: Voice, speaking: Mapping[str, object]) -> str:
    """A digest of all that decides how an item sounds; `speaking` is what all items share, as
    JSON can say it."""
    turns = [
        (int(turn.speaker), turn.text, None if turn.audio is None else sha256(turn.audio))
        for turn in item.turns
    ]
    given = json.dumps([item.text, item.voice, item.seed, turns, speaking], sort_keys=True)
    digest = hashlib.sha256(given.encode())
    digest.update(voice.style.cpu().numpy().tobytes())
    if voice.prompt is not None:
        digest.update(json.dumps(voice.prompt.text).encode())
        digest.update(voice.prompt.samples.tobytes())
    return digest.hexdigest()


def weights_of(folder: Path, predictor: str) -> dict[str, str]:
    """The digests of the files that speak by this predictor; voices are digested one by one."""
    others = {*PREDICTORS, Thinker.name, "voices"} - {predictor}
    files = [path for kind in ("*.safetensors", "*.json") for path in sorted(folder.glob(kind))]
    return {path.name: sha256(path) for path in files if path.stem not in others}


def speak_item(speaker: Speaker, item: Item, voice: Voice, out: Path, options: SpeakOptions) -> Row:
    """Speaks one item into `out/<id>.wav`; returns its row of the manifest."""
    reply = speaker.speak(hear_turns(speaker, item.turns), item.text, voice, options)
    try:
        for _ in reply:
            pass
    finally:
        if not reply.complete:
            reply.cancel()
    path = out / f"{item.id}.wav"
    write_audio(path, reply.samples(), SAMPLE_RATE)
    return {
        "id": item.id,
        "file_name": path.name,
        "text": item.text,
        "voice": voice.name,
        "seed": item.seed,
        "duration_s": round(reply.duration_s, 3),
        "rtf": round(reply.rtf or 0.0, 4),
        "retries": reply.retries,
        "words": [list(word) for word in reply.words],
    }


def run_batch(
    items: list[Item],
    digests: Mapping[str, str],
    out: Path,
    jobs: int,
    speak: Callable[[Item], Row],
) -> tuple[int, list[tuple[str, str]]]:
    """Speaks what the manifest does not hold yet; returns how many are done, and the failures.

    The manifest is appended to as items are finished, so whatever stops the run, nothing is lost.

    Args:
        items: what to speak.
        digests: by id, of what an item is made from: spoken again is what was made from another.
        out: the folder of the sounds and the manifest.
        jobs: replies at once.
        speak: makes an item's sound; returns its row of the manifest.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    done = _still_good(manifest, out, digests)
    _write_rows(manifest, done.values())
    rows = [item for item in items if item.id not in done]
    failures: list[tuple[str, str]] = []
    bar = Progress(
        TextColumn("speaking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar, ThreadPoolExecutor(jobs) as pool, manifest.open("a", encoding="utf-8") as file:
        task = bar.add_task("", total=len(items), completed=len(items) - len(rows))
        waiting = iter(rows)
        running: dict[Future[Row], Item] = {}
        try:
            while True:
                while len(running) < jobs and (item := next(waiting, None)) is not None:
                    running[pool.submit(speak, item)] = item
                if not running:
                    break
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    item = running.pop(future)
                    try:
                        file.write(_line({**future.result(), "made_from": digests[item.id]}))
                        file.flush()
                    except Exception as error:
                        failures.append((item.id, str(error)))
                    bar.advance(task)
        except KeyboardInterrupt:
            print("stopping after what is being spoken; run again to go on", file=sys.stderr)
            for future, item in running.items():
                try:
                    file.write(_line({**future.result(), "made_from": digests[item.id]}))
                except Exception as error:
                    failures.append((item.id, str(error)))
            raise
    return len(items) - len(failures), failures


def _still_good(manifest: Path, out: Path, digests: Mapping[str, str]) -> dict[str, Row]:
    """By id, the rows whose sound is there and made from what it would be made from now; those of
    ids that are not asked for now stay."""
    found: dict[str, Row] = {}
    if not manifest.exists():
        return found
    # A kill may have cut the last line, even in the middle of a character.
    for line in manifest.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
            made = row.get("made_from")
            if (out / row["file_name"]).is_file() and digests.get(row["id"], made) == made:
                found[row["id"]] = row
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _write_rows(manifest: Path, rows: Iterable[Row]) -> None:
    text = "".join(map(_line, rows))
    atomic_write(manifest, text)


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def main(argv: list[str]) -> int:
    """Speaks a JSONL file: `id`, `text`, `voice`, and if wanted `dialogue` and `seed`, a line."""
    parser = argparse.ArgumentParser(prog="launch.py synth", description=main.__doc__)
    parser.add_argument("items", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="replies at once")
    add_speaking(parser)
    args = parser.parse_args(argv)
    if args.jobs < 1:
        raise InputError(f"--jobs is {args.jobs}; it must be 1 or more")
    shared = speak_options(args, 0)  # before the models are loaded: they may be wrong
    items = read_items(args.items)
    speaker = load_speaker(args.weights, args.device, args.predictor)
    voices = {name: resolve_voice(speaker, name) for name in sorted({i.voice for i in items})}
    speaking = {
        "options": asdict(shared),
        "predictor": args.predictor,
        "weights": weights_of(args.weights or WEIGHTS, args.predictor),
    }

    def speak(item: Item) -> Row:
        options = speak_options(args, item.seed)
        return speak_item(speaker, item, voices[item.voice], args.out, options)

    digests = {item.id: made_from(item, voices[item.voice], speaking) for item in items}
    done, failures = run_batch(items, digests, args.out, args.jobs, speak)
    for name, reason in failures:
        print(f"failed: {name}: {reason}", file=sys.stderr)
    print(f"{done} of {len(items)} spoken into {args.out}")
    return 1 if failures else 0
