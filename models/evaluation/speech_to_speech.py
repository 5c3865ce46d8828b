"""`eval speech-to-speech`: does it answer the spoken question, and does its speech match its text?

Questions are of the test split in held-out voices. The generator knows a question's topic; the
topic of an answer is derived from its words by a rule that is independent of question and model.
"""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from data.errors import InputError
from data.synthetic.answers import named, topic_called, topic_named
from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, Table, nothing, quantile, ratio
from models.evaluation.panel import Panel
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, voice_named
from models.evaluation.sets import JUDGED_VOICES, Question, other_utterances, questions, say
from models.evaluation.words import transcribe, word_errors, words_of

NUM_SPOKEN = 60  # answers that are also spoken; all are generated as text
WARM_UP = 2
_USER = 0


class EvaluatedThinker(Protocol):
    """The interface of `models.omni.Omni` that evaluation uses."""

    def exchange(self, who: int, text: str, samples: np.ndarray | None) -> Any: ...

    def think(self, turns: list[Any], seed: int | None = None) -> Any: ...


@dataclass
class Answered:
    """An answer: its text, whether its state stream ended it, its speech if it was spoken, and the
    time from the end of the question to first audio."""

    text: str
    stopped: bool
    samples: np.ndarray | None = None
    first_audio_ms: float = 0.0


def evaluate(
    speaker: EvaluatedSpeaker,
    omni: EvaluatedThinker,
    options: MakeOptions,
    num: int,
    panel: Panel,
    seed: int = 0,
) -> Result:
    """Asks `num` questions, each in a new conversation; evaluates text, speech and latency."""
    asked = questions(num)
    names = list(JUDGED_VOICES)
    voices = {name: voice_named(speaker, name, other_utterances(name, 2))[0] for name in names}
    for index in range(min(WARM_UP, num)):
        _speak(speaker, omni, asked[index], voices[names[0]], options, index, seed)
    answers = []
    for index, question in enumerate(asked):
        if index < NUM_SPOKEN:
            voice = voices[names[index % len(names)]]
            answers.append(_speak(speaker, omni, question, voice, options, index, seed))
        else:
            thought = omni.think([omni.exchange(_USER, "", question.asked.samples)], seed + index)
            answers.append(Answered("".join(thought), thought.stopped))
    figures = [*_text_figures(asked, answers), *_speech_figures(answers, names, panel)]
    rows = [
        [question.topic, question.text, answer.text, topic_named(answer.text) or "none"]
        for question, answer in zip(asked, answers, strict=True)
        if topic_named(answer.text) != question.topic
    ]
    columns = ["topic", "question", "answer", "the answer's topic"]
    tables = [Table("Answered beside the topic", columns, rows[:40])] if rows else []
    examples = [
        Example(q.text, a.text, {"question": q.asked.samples, "answer": a.samples})
        for q, a in list(zip(asked, answers, strict=True))[:6]
        if a.samples is not None
    ]
    settings = {"questions": num, "spoken": min(num, NUM_SPOKEN), "voices": names}
    title = "Speech-to-speech: answers to spoken questions"
    return Result("speech-to-speech", title, settings, figures, tables, examples)


def _speak(
    speaker: EvaluatedSpeaker,
    omni: EvaluatedThinker,
    question: Question,
    voice: Any,
    options: MakeOptions,
    index: int,
    seed: int,
) -> Answered:
    """Speaks one answer; without audio if it has no words. Times run from the end of the
    question."""
    dialogue = speaker.open_dialogue()
    started = time.perf_counter()
    thought = omni.think([omni.exchange(_USER, "", question.asked.samples)], seed + index)
    speaker.add_turn(dialogue, _USER, "", question.asked.samples)
    first_ms = 0.0
    try:
        reply = speaker.speak(dialogue, thought, voice, options(index))
        for _ in reply:
            first_ms = first_ms or 1000 * (time.perf_counter() - started)
    except InputError:  # an answer without words cannot be spoken
        if words_of(thought.text, "en"):
            raise
        return Answered(thought.text, thought.stopped)
    return Answered(thought.text, thought.stopped, reply.samples(), first_ms)


def _text_figures(asked: list[Question], answers: list[Answered]) -> list[Figure]:
    truths = [question.topic for question in asked]
    found = [topic_named(answer.text) for answer in answers]
    by_text = [topic_named(question.text) for question in asked]
    right = [one == truth for one, truth in zip(found, truths, strict=True)]
    # Shuffled answers give the chance level.
    shifted = [one == truth for one, truth in zip(found[1:] + found[:1], truths, strict=True)]
    echoed = [
        thing in answer.text.lower()
        for question, answer in zip(asked, answers, strict=True)
        if (thing := _thing(question)) is not None
    ]
    known = 100 * float(np.mean([a == b for a, b in zip(by_text, truths, strict=True)]))
    return [
        ratio("topic", "answers on the question's topic", right, scale=100, unit="%",
              teacher=known, note="beside it: topics that the question's own words tell",
              **bars.TOPIC),
        ratio("topic_shuffled", "answers on another question's topic", shifted, scale=100,
              unit="%"),
        ratio("named", "answers that name what was asked about", echoed, scale=100, unit="%"),
        ratio("stopped", "answers that their state stream ended",
              [answer.stopped for answer in answers], scale=100, unit="%", **bars.ANSWERS_STOP),
        ratio("words", "words of an answer", [len(a.text.split()) for a in answers]),
        ratio("empty", "answers without a word", [not words_of(a.text, "en") for a in answers],
              scale=100, unit="%"),
    ]  # fmt: skip


def _thing(question: Question) -> str | None:
    topic = topic_called(question.topic)
    assert topic is not None
    return named(question.text, topic)


def _speech_figures(answers: list[Answered], names: list[str], panel: Panel) -> list[Figure]:
    """Figures of the spoken answers that have words."""
    voices = [
        (answer, names[index % len(names)])
        for index, answer in enumerate(answers)
        if answer.samples is not None and words_of(answer.text, "en")
    ]
    spoken = [answer for answer, _ in voices]
    teacher = [say(name, answer.text).samples for answer, name in voices]
    sounds = [answer.samples for answer in spoken]
    heard = panel.ask(transcribe, [(sound, "en") for sound in [*sounds, *teacher]])
    ours = [word_errors(a.text, text, "en") for a, text in zip(spoken, heard, strict=False)]
    theirs = [
        word_errors(a.text, text, "en")
        for a, text in zip(spoken, heard[len(spoken) :], strict=True)
    ]
    words = [count for _, count in ours]
    label = "WER of the speech against the text, minus teacher's"
    if not sum(words):
        return [nothing("streams_wer", label, "nothing was said", **bars.STREAMS_WER)]
    differences = [a - b for (a, _), (b, _) in zip(ours, theirs, strict=True)]
    return [
        ratio("wer", "WER of the speech against the text", [errors for errors, _ in ours], words,
              scale=100, unit="%", teacher=100 * sum(e for e, _ in theirs) / sum(words)),
        ratio("streams_wer", label, differences, words, scale=100, unit="points",
              **bars.STREAMS_WER),
        quantile("first_audio_ms", "end of the question to first audio, median",
                 [answer.first_audio_ms for answer in spoken], 0.5, unit="ms",
                 note="hearing, thinking and speaking; no end-of-turn silence",
                 **bars.ANSWER_AUDIO),
        quantile("first_audio_ms_p95", "end of the question to first audio, 95 %",
                 [answer.first_audio_ms for answer in spoken], 0.95, unit="ms"),
    ]  # fmt: skip
