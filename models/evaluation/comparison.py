"""`eval compare`: all predictors on the same texts, voices, dialogue pairs and noise.

Compares latents with the two kinds of codes: quality on held-out sentences, context sensitivity,
robustness of both to noise in the dialogue history, and cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernels.int8_linear import num_parameters
from models.evaluation import dialogue, speech, speed
from models.evaluation.dialogue import MAIN, SIDES, answer, make_pairs, order_of
from models.evaluation.figures import Figure, Result, Table, nothing, ratio, shown
from models.evaluation.panel import Panel
from models.evaluation.quality import centroid, similarity, voice_embedding
from models.evaluation.replies import MakeOptions, SpokenReply, voice_named
from models.evaluation.sets import (
    MANNER,
    DialogueSet,
    EvaluationSet,
    say,
)
from models.evaluation.words import transcribe, word_errors
from models.voice import Voice

NOISES_DB: tuple[float | None, ...] = (None, 20.0, 10.0, 5.0)  # SNR; None: clean
_SPEECH_ROWS = {
    "wer_difference": "WER minus teacher's, points",
    "similarity": "similarity to the voice",
    "distillmos": "DistillMOS",
    "dnsmos": "DNSMOS overall",
    "f0_rmse_hz": "F0 error, Hz",
    "failures": "failures, %",
}
_SPEED_ROWS = {"rtf": "real-time factor", "first_audio_ms": "first audio, ms"}


@dataclass
class SinglePredictor:
    """A speaker fixed to one predictor, optionally adding noise to all history audio."""

    speaker: Any
    predictor: str
    noise_db: float | None = None
    num_heard: int = 0

    @property
    def voices(self) -> dict[str, Voice]:
        return self.speaker.voices

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Voice:
        return self.speaker.clone(samples, name)

    def open_dialogue(self) -> Any:
        return self.speaker.open_dialogue(self.predictor)

    def add_turn(self, dialogue: Any, who: int, text: str, samples: np.ndarray | None) -> None:
        if samples is not None and self.noise_db is not None:
            self.num_heard += 1
            samples = with_noise(samples, self.noise_db, self.num_heard)
        self.speaker.add_turn(dialogue, who, text, samples)

    def speak(self, dialogue: Any, text: str, voice: Voice, options: Any = None) -> Any:
        return self.speaker.speak(dialogue, text, voice, options)

    def reconstruct(self, samples: np.ndarray) -> np.ndarray:
        return self.speaker.reconstruct(samples)


def with_noise(samples: np.ndarray, ratio_db: float, seed: int) -> np.ndarray:
    """Adds white noise to samples `[T]` at a signal-to-noise ratio of `ratio_db`."""
    power = float(np.square(samples).mean())
    noise = np.random.default_rng([MANNER % 2**32, seed]).standard_normal(len(samples))
    mixed = samples + np.sqrt(power / 10 ** (ratio_db / 10)) * noise
    return mixed.astype(np.float32)


def evaluate(
    speaker: Any,
    predictors: Sequence[str],
    options: MakeOptions,
    num: int,
    chosen: EvaluationSet,
    dialogue_set: DialogueSet,
    panel: Panel,
) -> Result:
    """Evaluates each predictor on the sentences of a set and on `num` dialogue pairs of a cast."""
    found: dict[str, list[Figure]] = {}
    for name in predictors:
        through = SinglePredictor(speaker, name)
        spoken = speech.evaluate(through, options, chosen, panel)
        kept = [f for f in spoken.figures if f.key.startswith(tuple(_SPEECH_ROWS))]
        timed = speed.evaluate(through, options, min(num, 20))
        kept += [f for f in timed.figures if f.key in _SPEED_ROWS]
        for noise_db in NOISES_DB:
            kept += _after_noise(speaker, name, noise_db, options, num, dialogue_set, panel)
        kept.append(_size(through))
        found[name] = kept
    figures = [
        replace(f, key=f"{name}_{f.key}", label=f"{name}: {f.label}", bar=None, goal=None)
        for name, kept in found.items()
        for f in kept
    ]
    settings = {
        "sentences": len(chosen.items),
        "pairs": num,
        "source": chosen.source,
        "predictors": list(predictors),
    }
    title = "The predictors compared"
    return Result("compare", title, settings, figures, [_table(found)])


def _after_noise(
    speaker: Any, predictor: str, noise_db: float | None, options: MakeOptions, num: int,
    dialogue_set: DialogueSet, panel: Panel,
) -> list[Figure]:  # fmt: skip
    """Answers after two turns with noisy audio: prosody, words and voice."""
    through = SinglePredictor(speaker, predictor, noise_db)
    pairs, others, language = (
        make_pairs(num, dialogue_set, MAIN.turns),
        dialogue_set.others,
        dialogue_set.language,
    )
    voices = {name: voice_named(through, name, sounds)[0] for name, sounds in others.items()}
    answers: list[SpokenReply] = [
        answer(through, pairs, index, side, MAIN, voices[pair.voice], options)
        for index, pair in enumerate(pairs)
        for side in SIDES
    ]
    mark = "clean" if noise_db is None else f"{noise_db:.0f}_db"
    after = "a clean history" if noise_db is None else f"noise at {noise_db:.0f} dB"
    ordered = order_of([one.samples for one in answers], panel)["both"]
    texts = [pair.answer for pair in pairs for _ in SIDES]
    heard = panel.ask(transcribe, [(one.samples, language) for one in answers])
    errors = [word_errors(text, said, language) for text, said in zip(texts, heard, strict=True)]
    whose = [pair.voice for pair in pairs for _ in SIDES]
    known = {
        name: centroid(panel.ask(voice_embedding, [(sound,) for sound in sounds]))
        for name, sounds in others.items()
    }
    made = [i for i, one in enumerate(answers) if len(one.samples) >= 2400]
    embedded = panel.ask(voice_embedding, [(answers[i].samples,) for i in made])
    alike = [similarity(vector, known[whose[i]]) for i, vector in zip(made, embedded, strict=True)]
    teacher = [say(pair.voice, pair.answer, dialogue.ANSWER_TO[side], MANNER).samples
               for pair in pairs for side in SIDES]  # fmt: skip
    theirs = panel.ask(transcribe, [(sound, language) for sound in teacher])
    lost = [word_errors(text, said, language)[0] for text, said in zip(texts, theirs, strict=True)]
    words = [count for _, count in errors]
    return [
        ratio(f"manner_{mark}", f"manner follows after {after}", ordered, scale=100, unit="%"),
        ratio(f"wer_{mark}", f"WER after {after}", [wrong for wrong, _ in errors], words,
              scale=100, unit="%", groups=texts, teacher=100 * sum(lost) / max(1, sum(words))),
        ratio(f"similarity_{mark}", f"similarity after {after}", alike),
    ]  # fmt: skip


def _size(through: SinglePredictor) -> Figure:
    model = getattr(through.open_dialogue(), "model", None)
    if model is None:
        return nothing("size", "parameters, M", "no model")
    return ratio("size", "parameters, M", [num_parameters(model) / 1e6])


def _table(found: dict[str, list[Figure]]) -> Table:
    """A row per figure, a column per predictor, with intervals; the teacher comes last."""
    labels = {f.key: _SPEECH_ROWS.get(f.key) or _SPEED_ROWS.get(f.key) or f.label
              for kept in found.values() for f in kept}  # fmt: skip
    rows = []
    for key, label in labels.items():
        row, teacher = [label], ""
        for kept in found.values():
            figure = next((f for f in kept if f.key == key), None)
            row.append("–" if figure is None or not figure.num else _cell(figure))
            if figure is not None and figure.teacher is not None:
                teacher = shown(figure.teacher)
        rows.append([*row, teacher])
    return Table("Every predictor", ["figure", *found, "teacher"], rows)


def _cell(figure: Figure) -> str:
    if figure.num == 1:
        return shown(figure.value)
    return f"{shown(figure.value)} ({shown(figure.low)} to {shown(figure.high)})"
