"""The measurements of `launch.py eval`, by name."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from models.evaluation import (
    clone,
    comparison,
    dialogue,
    recorded,
    recordings,
    robustness,
    seed_tts,
    sets,
    speech,
    speech_to_speech,
    speed,
    tokenizers,
    vocoder,
)
from models.evaluation.figures import Result
from models.evaluation.panel import Panel
from models.omni import Omni
from models.speaker import Speaker, SpeakOptions

_CLONE_SENTENCES = 2


@dataclass(frozen=True)
class Measuring:
    """Context of a measurement.

    Attributes:
        speaker: the models.
        panel: the judges.
        args: command-line options.
        num: number of replies, sentences, voices ... to measure.
    """

    speaker: Speaker
    panel: Panel
    args: argparse.Namespace
    num: int

    def options(self, number: int) -> SpeakOptions:
        """Options of reply `number`."""
        return SpeakOptions(
            seed=1_000_003 * self.args.seed + number,
            temperature=self.args.temperature,
            flow_steps=self.args.flow_steps,
            guidance=self.args.guidance,
        )

    def sentences(self, seed: int) -> sets.EvaluationSet:
        """Sentences of `--data`, or synthesized ones."""
        if self.args.data is not None:
            return recorded.recorded_set(self.args.data, self.num, self.args.language)
        named = getattr(self.args, "voices", None)
        voices = named.split(",") if named else sets.teacher_voices()
        return sets.spoken_set(self.num, seed, voices)

    def dialogue_set(self, most_turns: int) -> sets.DialogueSet:
        """Voices and texts for dialogues of up to `most_turns` turns."""
        if self.args.data is not None:
            return recorded.recorded_dialogue_set(self.args.data, self.args.language or "en")
        return sets.dialogue_set(self.num * (most_turns + 1))


def _vocoder(of: Measuring) -> Result:
    return vocoder.evaluate(of.speaker, of.sentences(sets.VOCODER), of.panel)


def _speech(of: Measuring) -> Result:
    return speech.evaluate(of.speaker, of.options, of.sentences(sets.SPEECH), of.panel)


def _dialogue(of: Measuring) -> Result:
    conditions = dialogue.CONDITIONS[:2] if of.args.main_only else dialogue.CONDITIONS
    most = max(condition.turns for condition in conditions)
    return dialogue.evaluate(
        of.speaker, of.options, of.num, of.dialogue_set(most), of.panel, conditions
    )


def _clone(of: Measuring) -> Result:
    voices = (
        recorded.recorded_clones(of.args.data, of.num, _CLONE_SENTENCES, of.args.language)
        if of.args.data is not None
        else sets.clone_set(of.num, _CLONE_SENTENCES)
    )
    return clone.evaluate(of.speaker, of.options, voices, of.panel)


def _robustness(of: Measuring) -> Result:
    return robustness.evaluate(of.speaker, of.options, of.num, of.args.language or "en")


def _compare(of: Measuring) -> Result:
    sentences, dialogue_set = of.sentences(sets.SPEECH), of.dialogue_set(dialogue.MAIN.turns)
    predictors = of.speaker.predictors
    return comparison.evaluate(
        of.speaker, predictors, of.options, of.num, sentences, dialogue_set, of.panel
    )


def _speed(of: Measuring) -> Result:
    return speed.evaluate(of.speaker, of.options, of.num)


def _recordings(of: Measuring) -> Result:
    sounds = recordings.recordings_set(
        of.args.folder, of.num, of.args.language or "en", of.panel, of.args.transcripts
    )
    return recordings.evaluate(of.speaker, of.options, *sounds, of.panel)


def _seed_tts(of: Measuring) -> Result:
    listed = seed_tts.seed_tts_set(of.args.folder, of.num, of.args.language)
    result = speech.evaluate(of.speaker, of.options, listed, of.panel)
    result.name, result.title = "seed-tts", "Seed-TTS-eval: clones from one utterance"
    return result


def _speech_to_speech(of: Measuring) -> Result:
    omni = Omni.load(of.speaker, of.args.weights)
    return speech_to_speech.evaluate(of.speaker, omni, of.options, of.num, of.panel, of.args.seed)


def _tokenizers(of: Measuring) -> Result:
    return tokenizers.evaluate(of.speaker, of.num, of.panel, of.args.encodec)


MEASURES: dict[str, Callable[[Measuring], Result]] = {
    "speed": _speed,
    "vocoder": _vocoder,
    "speech": _speech,
    "dialogue": _dialogue,
    "clone": _clone,
    "robustness": _robustness,
    "tokenizers": _tokenizers,
    "speech-to-speech": _speech_to_speech,
    "compare": _compare,
    "recordings": _recordings,
    "seed-tts": _seed_tts,
}


def measure(name: str, of: Measuring) -> Result:
    """Runs one measurement and records its duration."""
    start = time.perf_counter()
    result = MEASURES[name](of)
    result.seconds = time.perf_counter() - start
    return result
