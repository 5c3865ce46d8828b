"""`eval clone`: voices that training never heard, from five seconds."""

import numpy as np

from data.audio import SAMPLE_RATE
from models.evaluation import bars
from models.evaluation.comparison import with_noise
from models.evaluation.figures import Example, Result, Table, ratio, shown
from models.evaluation.panel import Panel
from models.evaluation.quality import centroid, similarity, voice_embedding
from models.evaluation.replies import MakeOptions, Speaks, speak
from models.evaluation.sets import (
    CLONE,
    JUDGED_VOICES,
    held_out_voices,
    other_utterances,
    sentences,
)

REFERENCE_S = 5.0
NUM_REFERENCES = 3  # utterances that the reference is cut from; the others tell the voice
NUM_TOLD = 4
NUM_LONG = 8  # voices in which a long reply is spoken
LONG_SENTENCES = 6  # about 20 s
NOISE_DB = 25.0  # speech over noise in a second sample: a laptop in a quiet room


def evaluate(
    speaker: Speaks, options: MakeOptions, num_voices: int, num_sentences: int, panel: Panel
) -> Result:
    """Clones every held-out voice and speaks held-out sentences in it.

    A reply is nearest to its own voice when no other held-out voice and none of the judged bundled
    ones (of which the nearest one counts) is more similar: one among 21 with 20 held-out voices.
    """
    names = held_out_voices(num_voices)
    texts = sentences(num_sentences, CLONE)
    long_text = " ".join(sentences(LONG_SENTENCES, CLONE + 1000))
    told, sounds, examples, long, noisy = {}, [], [], [], []
    for voice in (*names, *JUDGED_VOICES):
        known = other_utterances(voice, NUM_REFERENCES + NUM_TOLD)
        told[voice] = known[NUM_REFERENCES:]
        if voice not in names:
            continue
        reference = np.concatenate(known[:NUM_REFERENCES])[: int(REFERENCE_S * SAMPLE_RATE)]
        cloned = speaker.clone(reference, voice)
        for index, text in enumerate(texts):
            reply = speak(speaker, speaker.open_dialogue(), text, cloned, options(index))
            sounds.append(reply.samples)
        rough = speaker.clone(with_noise(reference, NOISE_DB, len(told)), voice)
        reply = speak(speaker, speaker.open_dialogue(), texts[0], rough, options(0))
        noisy.append(reply.samples)
        if len(long) < NUM_LONG:
            reply = speak(speaker, speaker.open_dialogue(), long_text, cloned, options(len(texts)))
            long.append(reply.samples)
        if len(examples) < 3 and len(sounds[-1]):
            made = {"reference": reference, "Repartee": sounds[-1]}
            examples.append(Example(voice, texts[-1], made))
    heard = panel.ask(voice_embedding, [(_or_silence(sound),) for sound in sounds])
    known_voices = {
        voice: centroid(panel.ask(voice_embedding, [(x,) for x in utterances]))
        for voice, utterances in told.items()
    }
    own, nearest, rows = [], [], []
    for place, voice in enumerate(names):
        replies = heard[place * len(texts) : (place + 1) * len(texts)]
        alike = [similarity(reply, known_voices[voice]) for reply in replies]
        rivals = [_nearest(reply, known_voices) for reply in replies]
        own += alike
        nearest += [rival == voice for rival in rivals]
        wrong = ", ".join(sorted({rival for rival in rivals if rival != voice}))
        rows.append([voice, shown(float(np.mean(alike))), wrong])
    rough_ones = panel.ask(voice_embedding, [(_or_silence(sound),) for sound in noisy])
    rough_alike = [similarity(r, known_voices[v]) for r, v in zip(rough_ones, names, strict=True)]
    steady = _steadiness(long, panel)
    groups = [voice for voice in names for _ in texts]
    teacher = _teacher_similarity(told, names, panel)
    figures = [
        ratio("clone_similarity", f"similarity to a held-out voice from {REFERENCE_S:.0f} s", own,
              groups=groups, teacher=teacher, **bars.CLONE_SIMILARITY),
        ratio("clone_nearest", "that voice is the nearest", nearest, groups=groups, scale=100,
              unit="%", **bars.CLONE_NEAREST),
        ratio("clone_noisy", f"the same from a sample with noise at {NOISE_DB:.0f} dB", rough_alike,
              teacher=teacher),
        ratio("clone_steady", "timbre of a long reply: its first third and its last", steady,
              note=f"{_mean_s(long):.0f} s on average", **bars.STEADY),
    ]  # fmt: skip
    table = Table("By voice", ["voice", "similarity", "taken for"], rows)
    settings = {"voices": len(names), "sentences": len(texts), "reference_s": REFERENCE_S}
    return Result("clone", "Zero-shot voices", settings, figures, [table], examples)


def _steadiness(long: list[np.ndarray], panel: Panel) -> list[float]:
    """How alike the first third of each reply is to its last."""
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


def _teacher_similarity(told: dict[str, list[np.ndarray]], names: list[str], panel: Panel) -> float:
    """How alike one utterance of a voice is to its others."""
    alike = []
    for voice in names:
        first, *rest = panel.ask(voice_embedding, [(x,) for x in told[voice]])
        alike.append(similarity(first, centroid(rest)))
    return float(np.mean(alike))


def _or_silence(samples: np.ndarray) -> np.ndarray:
    return samples if len(samples) >= SAMPLE_RATE // 5 else np.zeros(SAMPLE_RATE, np.float32)
