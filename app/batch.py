"""Resumable batch synthesis from a JSONL file, with a manifest."""

import contextlib
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from app.api.transcripts import Transcript, written
from app.batch_items import Item
from app.multi_voice_reply import Line, speak_lines
from app.past_turns import hear_turns
from app.progress import progress_bar
from app.voices import synthetic_fields
from data.audio import SAMPLE_RATE, mark_of, write_audio
from data.errors import OutputError
from data.files import append_line, atomic_write
from data.recognition.recordings import Passage
from models.checkpoint import sha256
from models.delivery.instructions import understand
from models.predictors.table import PREDICTORS
from models.predictors.thinker import Thinker
from models.reply_times import TimedWord
from models.speaker import Speaker, SpeakOptions
from models.voice import Voice
from models.watermark import Watermark

Row = dict[str, object]
TIMES = ("srt", "vtt", "json")


def made_from(item: Item, voices: Sequence[Voice], speaking: Mapping[str, object]) -> str:
    """A digest of everything that determines an item's audio: its `voices`, and `speaking`, the
    JSON-serialisable settings shared by all items."""
    turns = [
        (int(turn.speaker), turn.text, None if turn.audio is None else sha256(turn.audio))
        for turn in item.turns
    ]
    said = [item.text, item.voice, item.seed, item.instructions, item.spoken, turns, speaking]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for voice in voices:
        digest.update(voice.style.cpu().numpy().tobytes())
        if voice.prompt is not None:
            digest.update(json.dumps(voice.prompt.text).encode())
            digest.update(voice.prompt.samples.tobytes())
    return digest.hexdigest()


def weights_of(folder: Path, predictor: str) -> dict[str, str]:
    """Digests of the weights used by this predictor; voices are hashed individually."""
    others = {*PREDICTORS, Thinker.name, "voices"} - {predictor}
    files = [path for kind in ("*.safetensors", "*.json") for path in sorted(folder.glob(kind))]
    return {path.name: sha256(path) for path in files if path.stem not in others}


def speak_item(
    speaker: Speaker,
    item: Item,
    voices: Mapping[str, Voice],
    out: Path,
    options: SpeakOptions,
    times: Sequence[str] = (),
    marked: bool = True,
    watermark: Watermark | None = None,
) -> Row:
    """Synthesises one item to `out/<id>.wav`; returns its manifest row.

    Args:
        speaker: the models.
        item: the item.
        voices: its voices by name.
        out: output folder.
        options: synthesis options, without the item's own instructions.
        times: timestamp files to write beside it (`TIMES`).
        marked: whether the file is marked as synthetic; the row always is.
        watermark: of the file's speech.
    """
    understood = understand(item.instructions)
    options = options.delivered(understood.delivery)
    lines = [Line(voices[name], text) for name, text in item.lines]
    reply = speak_lines(speaker, lambda: hear_turns(speaker, item.turns), lines, options)
    _finish(reply)
    path = out / f"{item.id}.wav"
    speaking = list({line.voice.name: line.voice for line in lines}.values())
    marks = synthetic_fields(*speaking)
    mark = mark_of(str(marks.get("consent", ""))) if marked else ""
    samples = reply.samples() if watermark is None else watermark.mark(reply.samples())
    write_audio(path, samples, SAMPLE_RATE, mark)
    for kind in times:
        atomic_write(out / f"{item.id}.{kind}", written_times(reply, kind))
    return {
        "id": item.id,
        "file_name": path.name,
        "text": item.text,
        "voice": voices[item.voice].name,
        **({"voices": [voice.name for voice in speaking]} if len(speaking) > 1 else {}),
        **({"understood": understood.summary} if item.instructions else {}),
        **marks,
        **({"watermark": watermark.name} if watermark is not None else {}),
        "seed": item.seed,
        "duration_s": round(reply.duration_s, 3),
        "rtf": round(reply.rtf or 0.0, 4),
        "retries": reply.retries,
        "words": [list(word) for word in reply.words],
    }


def _finish(reply: Any) -> None:
    try:
        for _ in reply:
            pass
    finally:
        if not reply.complete:
            reply.cancel()


def written_times(reply: Any, kind: str) -> bytes:
    """A reply's word timestamps as "srt", "vtt", or "json", which also has phones."""
    words: list[TimedWord] = reply.timed_words
    if kind == "json":
        told = {"text": reply.text, "duration_s": round(reply.duration_s, 3)}
        body = {**told, "words": [word.public() for word in words]}
        return (json.dumps(body, ensure_ascii=False) + "\n").encode()
    passage = Passage(reply.text, 0.0, reply.duration_s, words=tuple(reply.words))
    return written(Transcript([passage], reply.duration_s), kind)


def run_batch(
    items: list[Item],
    digests: Mapping[str, str],
    out: Path,
    jobs: int,
    speak: Callable[[Item], Row],
) -> tuple[int, list[tuple[str, str]]]:
    """Synthesises the items missing from the manifest; returns the number done, and the failures.

    Rows are appended as items finish, so an interruption loses nothing. Write errors, as on a full
    disk, end the run.

    Args:
        items: the items.
        digests: input digests by id; items made from another digest are redone.
        out: folder of audio files and manifest.
        jobs: concurrent replies.
        speak: synthesises an item; returns its manifest row.

    Raises:
        OutputError: an audio file or a row cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    done = _still_good(manifest, out, digests)
    atomic_write(manifest, b"".join(map(_line, done.values())))
    run = _Run(manifest, digests, speak)
    with progress_bar("speaking") as bar, ThreadPoolExecutor(jobs) as pool:
        task = bar.add_task("", total=len(items), completed=len(done.keys() & digests.keys()))
        waiting = iter([item for item in items if item.id not in done])
        try:
            while run.fill(pool, waiting, jobs):
                for future in wait(run.running, return_when=FIRST_COMPLETED).done:
                    run.finish(future)
                    bar.advance(task)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                print("finishing the current items; repeat the command to resume", file=sys.stderr)
            for future in list(run.running):
                with contextlib.suppress(OutputError):  # an earlier one has already stopped the run
                    run.finish(future)
            raise
    return len(items) - len(run.failures), run.failures


class _Run:
    """The items in progress, and those that failed, with the reason.

    The thread that synthesised an item also appends its row, so that it waits for no other.
    """

    def __init__(
        self, manifest: Path, digests: Mapping[str, str], speak: Callable[[Item], Row]
    ) -> None:
        self.running: dict[Future[None], Item] = {}
        self.failures: list[tuple[str, str]] = []
        self._manifest, self._digests, self._speak = manifest, digests, speak
        self._lock = threading.Lock()

    def fill(self, pool: ThreadPoolExecutor, waiting: Iterator[Item], jobs: int) -> bool:
        """Starts items until `jobs` are running; returns whether any is running."""
        while len(self.running) < jobs and (item := next(waiting, None)) is not None:
            self.running[pool.submit(self._work, item)] = item
        return bool(self.running)

    def _work(self, item: Item) -> None:
        row = {**self._speak(item), "made_from": self._digests[item.id]}
        with self._lock:
            _add_row(self._manifest, row)

    def finish(self, future: "Future[None]") -> None:
        """Waits for an item and records its outcome.

        Raises:
            OutputError: its audio or row cannot be written.
        """
        item = self.running.pop(future)
        try:
            future.result()
        except OutputError:
            raise
        except Exception as error:
            self.failures.append((item.id, str(error)))


def _add_row(manifest: Path, row: Row) -> None:
    """Appends a row; on failure removes both the row and its audio.

    Raises:
        OutputError: the row cannot be written.
    """
    try:
        append_line(manifest, _line(row))
    except BaseException:
        (manifest.parent / str(row["file_name"])).unlink(missing_ok=True)
        raise


def _still_good(manifest: Path, out: Path, digests: Mapping[str, str]) -> dict[str, Row]:
    """The rows, by id, whose audio exists and is up to date; rows of ids not requested now are
    kept."""
    found: dict[str, Row] = {}
    if not manifest.exists():
        return found
    # A kill may have truncated the last line, even within a character.
    for line in manifest.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
            made = row.get("made_from")
            if (out / row["file_name"]).is_file() and digests.get(row["id"], made) == made:
                found[row["id"]] = row
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _line(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
