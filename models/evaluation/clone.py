"""`eval clone`: zero-shot voice cloning of held-out voices from eight seconds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE
from models.evaluation import bars
from models.evaluation.comparison import with_noise
from models.evaluation.figures import Example, Figure, Result, Table, ratio, shown
from models.evaluation.panel import Panel
from models.evaluation.quality import centroid, distillmos, similarity, voice_embedding
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, speak
from models.evaluation.sets import REFERENCE_S, CloneSet, Subject
from models.evaluation.strata import by_stratum
from models.evaluation.words import WORD_ERRORS, transcribe, word_errors

NUM_LONG = 8  # clones that also speak a long reply
NUM_EXAMPLES = 3
NOISE_DB = 25.0  # SNR of a second sample, like a laptop in a quiet room


@dataclass
class _Cloned:
    """Replies of a clone: to each text, to the first one cloned from a noisy sample, and to a long
    text; their similarity to the voice, and the most similar voice of each."""

    subject: Subject
    texts: list[str]
    sounds: list[np.ndarray]
    rough: np.ndarray
    long: np.ndarray | None = None
    alike: list[float] = field(default_factory=list)
    nearest: list[str] = field(default_factory=list)


def evaluate(
    speaker: EvaluatedSpeaker, options: MakeOptions, chosen: CloneSet, panel: Panel
) -> Result:
    """Clones every voice and speaks the texts in it.

    A reply's nearest voice is the most similar one among all subjects and rivals.
    """
    clones = [
        _clone(speaker, options, chosen, subject, number)
        for number, subject in enumerate(chosen.subjects)
    ]
    utterances = {**chosen.rivals, **{s.voice: s.utterances for s in chosen.subjects}}
    known = {
        voice: centroid(panel.ask(voice_embedding, [(x,) for x in sounds]))
        for voice, sounds in utterances.items()
    }
    for one in clones:
        heard = panel.ask(voice_embedding, [(_or_silence(sound),) for sound in one.sounds])
        one.alike = [similarity(reply, known[one.subject.voice]) for reply in heard]
        one.nearest = [_nearest(reply, known) for reply in heard]
    figures = by_stratum(
        chosen.subjects, lambda places: _figures([clones[i] for i in places], known, panel)
    )
    settings = {
        "voices": len(clones),
        "candidates": len(known),
        "texts": {language: len(texts) for language, texts in chosen.texts.items()},
        "reference_s": REFERENCE_S,
        "source": chosen.source,
    }
    tables = [_by_voice(clones)]
    return Result("clone", "Zero-shot voices", settings, figures, tables, _examples(clones))


def _clone(
    speaker: EvaluatedSpeaker, options: MakeOptions, chosen: CloneSet, subject: Subject, number: int
) -> _Cloned:
    texts = chosen.texts[subject.language]
    voice = speaker.clone(subject.reference, subject.voice)
    noisy = with_noise(subject.reference, NOISE_DB, number + 1)
    rough_voice = speaker.clone(noisy, subject.voice)

    def say(text: str, who: Any, index: int) -> np.ndarray:
        return speak(speaker, speaker.open_dialogue(), text, who, options(index)).samples

    sounds = [say(text, voice, index) for index, text in enumerate(texts)]
    made = _Cloned(subject, texts, sounds, say(texts[0], rough_voice, 0))
    if number < NUM_LONG:
        made.long = say(chosen.long_texts[subject.language], voice, len(texts))
    return made


def _figures(clones: list[_Cloned], known: dict[str, list[float]], panel: Panel) -> list[Figure]:
    """Figures of one stratum's clones; `known` holds the embeddings of all candidate voices."""
    groups = [one.subject.voice for one in clones for _ in one.texts]
    alike = [value for one in clones for value in one.alike]
    right = [name == one.subject.voice for one in clones for name in one.nearest]
    rough = panel.ask(voice_embedding, [(_or_silence(one.rough),) for one in clones])
    rough_alike = [
        similarity(vector, known[one.subject.voice])
        for vector, one in zip(rough, clones, strict=True)
    ]
    teacher = _teacher_similarity(clones, panel)
    figures = [
        ratio("clone_similarity", f"similarity to a voice from {REFERENCE_S:.0f} s", alike,
              groups=groups, teacher=teacher, **bars.CLONE_SIMILARITY),
        ratio("clone_nearest", f"that voice is the nearest of {len(known)}", right, groups=groups,
              scale=100, unit="%", **bars.CLONE_NEAREST),
        ratio("clone_noisy", f"the same from a sample with noise at {NOISE_DB:.0f} dB", rough_alike,
              teacher=teacher),
        *_speech_figures(clones, groups, panel),
    ]  # fmt: skip
    long = [one.long for one in clones if one.long is not None]
    if long:
        label = "timbre of a long reply: its first third and its last"
        note = f"{_mean_s(long):.0f} s on average"
        figures.append(ratio("clone_steady", label, _steadiness(long, panel), note=note,
                             **bars.STEADY))  # fmt: skip
    return figures


def _speech_figures(clones: list[_Cloned], groups: list[str], panel: Panel) -> list[Figure]:
    """Intelligibility and naturalness of the clones; beside it those of the voices' own
    utterances."""
    language = clones[0].subject.language
    said = [text for one in clones for text in one.texts]
    sounds = [sound for one in clones for sound in one.sounds]
    heard = panel.ask(transcribe, [(sound, language) for sound in sounds])
    counts = np.array([word_errors(a, b, language) for a, b in zip(said, heard, strict=True)])
    own = panel.ask(distillmos, [(sound,) for one in clones for sound in one.subject.utterances])
    natural = panel.ask(distillmos, [(sound,) for sound in sounds])
    return [
        ratio("clone_wer", f"{WORD_ERRORS[language]} in that voice", counts[:, 0].tolist(),
              counts[:, 1].tolist(), scale=100, unit="%", groups=groups),
        ratio("clone_distillmos", "DistillMOS in that voice", natural, groups=groups,
              teacher=float(np.mean(own))),
    ]  # fmt: skip


def _by_voice(clones: list[_Cloned]) -> Table:
    rows = []
    for one in clones:
        wrong = sorted({name for name in one.nearest if name != one.subject.voice})
        rows.append([one.subject.voice, shown(float(np.mean(one.alike))), ", ".join(wrong)])
    return Table("By voice", ["voice", "similarity", "taken for"], rows)


def _examples(clones: list[_Cloned]) -> list[Example]:
    return [
        Example(
            one.subject.voice,
            one.texts[-1],
            {"reference": one.subject.reference, "Repartee": one.sounds[-1]},
        )
        for one in clones[:NUM_EXAMPLES]
        if len(one.sounds[-1])
    ]


def _steadiness(long: list[np.ndarray], panel: Panel) -> list[float]:
    """Similarity of the first third of each reply to its last."""
    thirds = []
    for samples in long:
        third = len(samples) // 3
        thirds += [samples[:third], samples[len(samples) - third :]]
    heard = panel.ask(voice_embedding, [(_or_silence(part),) for part in thirds])
    return [similarity(a, b) for a, b in zip(heard[::2], heard[1::2], strict=True)]


def _mean_s(sounds: list[np.ndarray]) -> float:
    return float(np.mean([len(samples) for samples in sounds])) / SAMPLE_RATE


def _nearest(reply: list[float], known: dict[str, list[float]]) -> str:
    return max(known, key=lambda voice: similarity(reply, known[voice]))


def _teacher_similarity(clones: list[_Cloned], panel: Panel) -> float | None:
    """Similarity of one utterance of a voice to its others; None if there is only one."""
    alike = []
    for clone in clones:
        first, *rest = panel.ask(voice_embedding, [(x,) for x in clone.subject.utterances])
        if rest:
            alike.append(similarity(first, centroid(rest)))
    return float(np.mean(alike)) if alike else None


def _or_silence(samples: np.ndarray) -> np.ndarray:
    return samples if len(samples) >= SAMPLE_RATE // 5 else np.zeros(SAMPLE_RATE, np.float32)
