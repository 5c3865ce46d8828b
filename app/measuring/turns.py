"""End-of-turn detection: turns cut off at a hesitation, and the latency of detecting the end.

A scene is a turn of a held-out dialogue, resynthesised by the teacher in a held-out voice with one
hesitation: the vowel before it is lengthened by 200 ms, pitch continues as in the fluent sentence,
then 0.3 to 1.5 s of silence follow. People also breathe, click, lower their pitch, restart their
sentence and pause where it could have ended; scenes do not, so these figures are optimistic.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.endpointing import SEMANTIC, SERVER, AudioInputSettings, Endpointer, SpeechEventKind
from app.measuring.parts import Bench, Item, Part, Row, room, spoken_turns
from app.measuring.virtual import STEP, Conversation
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE, resample
from data.languages import LANGUAGES
from data.synthetic.hesitations import KINDS, hesitant
from data.synthetic.kokoro.engine import Delivery, teacher
from data.synthetic.kokoro.voices import kokoro_voices
from data.synthetic.manner import NATURAL_MANNERS
from data.synthetic.phones import PAUSE
from models.evaluation.bars import FigureBars, at_most
from models.evaluation.figures import Figure, quantile, ratio

_COUNT = 200
MANDARIN_SHARE = 0.3
_PAUSES_S = (0.3, 1.5)
_BEFORE_S, _AFTER_S = 0.5, 5.0
_FIXED_MS = 500
_CUT, _KNOWN = FigureBars(bar=at_most(8.0)), FigureBars(bar=at_most(400.0))
# Texts that the teacher misreads: digits, initialisms, Latin words in Mandarin.
_UNSPOKEN = {"en": re.compile(r"[\d#@&/]|[A-Z]{2}"), "zh": re.compile(r"[\dA-Za-z]")}
_FIRST_SOUND_MS = 300  # from detected end to first audio, with a fast language model


@dataclass(frozen=True)
class Scene:
    """A turn to synthesise; `kind` is that of its hesitation, one of `hesitations.KINDS`, or ""."""

    language: str
    text: str
    kind: str
    voice: str
    pause_s: float
    seed: int


def turns(bench: Bench) -> Part:
    """Scenes from the texts of held-out dialogues."""

    def texts_of(language: str) -> list[str]:
        return [turn.text for turn in spoken_turns(bench.folders, language)]

    items = scene_items(bench, bench.count or _COUNT, _taken, texts_of)
    return Part(f"turns-{bench.seed}", items, _figures)


def scene_items(
    bench: Bench,
    num: int,
    measure: Callable[[Bench, Scene], Row],
    texts_of: Callable[[str], Iterable[str]],
    fluent: bool = False,
) -> list[Item]:
    """`num` scenes in both languages, each measured by `measure`.

    Args:
        texts_of: the turns of a language.
        fluent: without hesitations.
    """
    mandarin = round(num * MANDARIN_SHARE)
    scenes = [
        *scenes_of(bench, "en", num - mandarin, texts_of("en"), fluent),
        *scenes_of(bench, "zh", mandarin, texts_of("zh"), fluent),
    ]
    return [
        Item(f"{scene.seed} {scene.voice} {scene.text}", lambda scene=scene: measure(bench, scene))
        for scene in scenes
    ]


def scenes_of(
    bench: Bench, language: str, num: int, said: Iterable[str], fluent: bool = False
) -> list[Scene]:
    """Up to `num` scenes; once all texts are used, they recur with other hesitations and voices."""
    rng = random.Random(f"{bench.seed} {language}")
    named = [
        name
        for name, voice in kokoro_voices().items()
        if voice.held_out == bench.held_out and voice.language == language
    ]
    texts = [text for text in sorted(set(said)) if not _UNSPOKEN[language].search(text)]
    scenes: list[Scene] = []
    while len(scenes) < num:
        found = len(scenes)
        for text in rng.sample(texts, len(texts)):
            placed = (text, "") if fluent else hesitant(text, language, rng)
            if placed is not None and len(scenes) < num:
                pause_s = 0.0 if fluent else rng.uniform(*_PAUSES_S)
                seed = 1000 * bench.seed + len(scenes)
                scenes.append(Scene(language, *placed, rng.choice(named), pause_s, seed))
        if len(scenes) == found:
            break  # no text has a place for a hesitation
    return scenes


def performed(scene: Scene) -> tuple[np.ndarray, float, float]:
    """Synthesises a scene: samples `[T]` at 24 kHz with silence around the speech, and the times
    at which the longest pause begins (or the speech ends) and the speech ends, in seconds."""
    line = Delivery(
        kokoro_voices()[scene.voice], scene.text, NATURAL_MANNERS["neutral"], scene.seed,
        scene.pause_s,
    )  # fmt: skip
    spoken = teacher().speak([line])[0]
    said = resample(spoken.samples, int(spoken.sample_rate), SAMPLE_RATE)
    said *= 0.07 / np.sqrt(np.mean(np.square(said)))
    sound = room(_BEFORE_S + len(said) / SAMPLE_RATE + _AFTER_S, scene.seed)
    start = round(_BEFORE_S * SAMPLE_RATE)
    sound[start : start + len(said)] += said
    pauses = [phone for phone in spoken.phones[1:-1] if phone[0] == PAUSE]
    end = max(phone[2] for phone in spoken.phones if phone[0] != PAUSE)
    pause = max(pauses, key=lambda phone: phone[2] - phone[1])[1] if pauses else end
    return sound, _BEFORE_S + pause, _BEFORE_S + end


def _taken(bench: Bench, scene: Scene) -> Row:
    sound, pause, end = performed(scene)
    audio_input = AudioInputSettings(detection=SEMANTIC)
    settings = SessionSettings(create_response=False, audio_input=audio_input)
    with Conversation(bench.recognizer, bench.judge, settings) as conversation:
        conversation.push_audio(sound)
        found = conversation.turns()
        judged, taken = conversation.judge.judged, conversation.recognizer.taken
    # Time at which each end was detected: end of speech plus the silence until detection.
    known = [t["speech_end"] / SAMPLE_RATE + t["timings"]["silence_ms"] / 1000 for t in found]
    row: Row = {"language": scene.language, "kind": scene.kind, "text": scene.text}
    row |= {"pause_s": scene.pause_s, "pause_at": pause, "end_at": end, "known_at": known}
    row["judged"] = [(round(at, 2), round(chance, 3)) for at, chance in judged]
    row["texts"] = [(round(one.at, 2), one.transcript.text) for one in taken]
    row["fixed"] = _ends(sound, AudioInputSettings(detection=SERVER, silence_ms=_FIXED_MS))
    return row


def _ends(sound: np.ndarray, settings: AudioInputSettings) -> list[float]:
    """Times at which turns end by voice activity alone, in seconds."""
    endpointer = Endpointer(settings)
    return [
        endpointer.num_samples / SAMPLE_RATE
        for start in range(0, len(sound), STEP)
        for event in endpointer.push(sound[start : start + STEP])
        if event.kind is SpeechEventKind.ENDED
    ]


def _figures(rows: Sequence[Row]) -> list[Figure]:
    figures = [
        *_cut_and_known("turns", "semantic_vad", rows, "known_at", _CUT, _KNOWN),
        *_cut_and_known(
            "fixed", f"silence of {_FIXED_MS} ms", rows, "fixed", FigureBars(), FigureBars()
        ),
    ]
    late = [_is_answered(row) for row in rows]
    label = f"answered audibly in the hesitation ({_FIRST_SOUND_MS} ms to first audio)"
    figures.append(ratio("answered", label, late, unit="%", scale=100))
    groups = [("language", name) for name in LANGUAGES] + [("kind", kind) for kind in KINDS]
    for field, name in groups:
        some = [row for row in rows if row[field] == name]
        figures += _cut_and_known(
            name, f"semantic_vad; {name}", some, "known_at", FigureBars(), FigureBars()
        )
    return figures


def _cut_and_known(
    key: str,
    label: str,
    rows: Sequence[Row],
    field: str,
    cut_bar: FigureBars,
    known_bar: FigureBars,
) -> list[Figure]:
    cut = [any(at < row["end_at"] - 0.1 for at in row[field]) for row in rows]
    known = [1000 * (row[field][-1] - row["end_at"]) for row in rows if row[field]]
    return [
        ratio(f"{key}_cut", f"cut off early; {label}", cut, unit="%", scale=100, **cut_bar),
        quantile(
            f"{key}_known",
            f"end-of-turn latency, median; {label}",
            known,
            0.5,
            unit="ms",
            **known_bar,
        ),
    ]


def _is_answered(row: Row) -> bool:
    """Whether an answer would have been audible before the speaker continued; until it is
    audible, a turn that ended too early is reopened."""
    goes_on = row["pause_at"] + row["pause_s"]
    return any(at + _FIRST_SOUND_MS / 1000 < goes_on for at in row["known_at"])
