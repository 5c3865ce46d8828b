"""`eval recordings`: human speech, copied by the vocoder and cloned from one utterance.

A clone speaks the text of another utterance of its speaker, so that it can be compared with the
person's own rendition.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from data.audio import SAMPLE_RATE, read_audio
from data.dialogue import read_ncssd
from data.errors import InputError
from models.evaluation import speech, vocoder
from models.evaluation.figures import Figure, Result
from models.evaluation.panel import Panel
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions
from models.evaluation.sets import EvaluationSet, Item
from models.evaluation.transcripts import read_transcripts
from models.evaluation.words import transcribe, words_of

FEWEST_WORDS = 3
SHORTEST_S, LONGEST_S = 2.0, 20.0
SHORTEST_PROMPT_S = 3.0
_SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac"}


@dataclass(frozen=True)
class Recording:
    """A file, its speaker, and its text if known."""

    path: Path
    speaker: str
    text: str | None


def find_recordings(folder: Path, transcripts: Path | None = None) -> list[Recording]:
    """Recordings under a folder, ordered by path.

    The folder holds dialogues in NCSSD layout, or sound files in any folders; the speaker is then
    the top-level folder, and texts come from `read_transcripts`.

    Raises:
        InputError: there are none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one with recordings in it")
    if any(folder.glob("*/metadata.json")):
        return [
            Recording(turn.audio, f"{dialogue.id}-{turn.speaker}", turn.text or None)
            for dialogue in read_ncssd(folder)
            for turn in dialogue.turns
            if turn.audio is not None
        ]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SOUNDS)
    if not paths:
        known = ", ".join(sorted(_SOUNDS))
        raise InputError(f"there is no recording under {folder}; files with one end in {known}")
    texts = read_transcripts(folder, paths, transcripts)
    return [
        Recording(path, str(path.relative_to(folder).parts[0]) if path.parent != folder else "",
                  texts.get(path))
        for path in paths
    ]  # fmt: skip


def recordings_set(
    folder: Path, num: int, language: str, panel: Panel, transcripts: Path | None = None
) -> tuple[EvaluationSet, EvaluationSet, int]:
    """Recordings to copy; the same items with a second recording of each speaker to clone from; and
    the number of texts that were transcribed by Whisper.

    Args:
        folder: folder of recordings.
        num: most recordings.
        language: their language, `en` or `zh`.
        panel: runs Whisper where a text is missing.
        transcripts: a file of texts.

    Raises:
        InputError: no recording is long enough.
    """
    items: list[Item] = []
    num_heard = 0
    for recording in _spread(find_recordings(folder, transcripts), num):
        samples = read_audio(recording.path)
        if not SHORTEST_S <= len(samples) / SAMPLE_RATE <= LONGEST_S:
            continue
        text = recording.text
        if text is None:
            (text,) = panel.ask(transcribe, [(samples, language)])
        if len(words_of(text, language)) < FEWEST_WORDS:
            continue
        num_heard += recording.text is None
        items.append(Item(text, recording.speaker, samples, [], language, None))
        if len(items) == num:
            break
    if not items:
        raise InputError(
            f"no recording under {folder} lasts {SHORTEST_S:g} to {LONGEST_S:g} s with at least "
            f"{FEWEST_WORDS} words"
        )
    source = f"recordings of {folder.name}"
    return EvaluationSet(items, {}, source), _with_prompts(items, source), num_heard


def _spread(recordings: list[Recording], num: int) -> list[Recording]:
    """Reorders recordings so that evenly spaced ones come first."""
    step = max(1, len(recordings) // max(1, 2 * num))
    return [one for start in range(step) for one in recordings[start::step]]


def _with_prompts(items: list[Item], source: str) -> EvaluationSet:
    """Each item in a voice cloned from the speaker's next one."""
    asked: list[Item] = []
    prompts = {}
    for place, item in enumerate(items):
        later = [*items[place + 1 :], *items[:place]]
        prompt = next(
            (
                other.samples
                for other in later
                if other.voice == item.voice
                and len(other.samples) >= SHORTEST_PROMPT_S * SAMPLE_RATE
            ),
            None,
        )
        if prompt is not None:
            name = f"{item.voice} {place}".strip()
            asked.append(replace(item, voice=name))
            prompts[name] = [prompt]
    return EvaluationSet(asked, prompts, source)


def evaluate(
    speaker: EvaluatedSpeaker,
    options: MakeOptions,
    copied: EvaluationSet,
    cloned: EvaluationSet,
    num_heard: int,
    panel: Panel,
) -> Result:
    """Copies recordings, and has clones of their speakers say the same texts."""
    copies = vocoder.evaluate(speaker, copied, panel)
    figures = [_named("copy", "copies", figure) for figure in copies.figures]
    tables, examples = [], copies.examples
    if cloned.items:
        clones = speech.evaluate(speaker, options, cloned, panel)
        # clones of people have no bars
        figures += [
            replace(_named("clone", "clones", figure), bar=None, goal=None)
            for figure in clones.figures
        ]
        tables, examples = clones.tables, examples + clones.examples
    settings = {
        "recordings": len(copied.items),
        "texts_heard_by_whisper": num_heard,
        "speakers": len({item.voice for item in copied.items}),
        "cloned_from_one_utterance": len(cloned.items),
        "source": copied.source,
    }
    title = "Recordings: copied, and cloned from one utterance"
    return Result("recordings", title, settings, figures, tables, examples)


def _named(mark: str, what: str, figure: Figure) -> Figure:
    return replace(figure, key=f"{mark}_{figure.key}", label=f"{what}: {figure.label}")
