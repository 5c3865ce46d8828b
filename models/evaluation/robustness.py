"""`eval robustness`: failure and retry rates over many hard texts."""

import random
from collections import Counter

from models.evaluation import bars
from models.evaluation.figures import Example, Result, Table, ratio
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, SpokenReply, speak, voice_named
from models.evaluation.sets import (
    JUDGED_VOICES,
    ROBUST,
    hard_texts,
    held_out_voices,
    other_utterances,
    say,
    sentences,
)

MOST_PAST = 4
NUM_PAST = 12  # turns to sample histories from


def evaluate(
    speaker: EvaluatedSpeaker, options: MakeOptions, num: int, language: str = "en"
) -> Result:
    """Speaks `num` texts in all bundled voices, each after zero to four turns of English speech."""
    rng = random.Random(ROBUST)
    texts = hard_texts(num, language)
    voices = list(speaker.voices.values()) or [
        voice_named(speaker, name, other_utterances(name, 2))[0] for name in JUDGED_VOICES
    ]
    strangers = held_out_voices(4)
    past = [
        say(strangers[i % len(strangers)], text, rng.choice(["neutral", "excited", "sad", "calm"]))
        for i, text in enumerate(sentences(NUM_PAST, ROBUST + 1000))
    ]
    replies: list[SpokenReply] = []
    for index, text in enumerate(texts):
        dialogue = speaker.open_dialogue()
        num_past = rng.randint(0, MOST_PAST)
        for place, item in enumerate(rng.sample(past, num_past)):
            speaker.add_turn(dialogue, (num_past - 1 - place) % 2, item.text, item.samples)
        replies.append(speak(speaker, dialogue, text, rng.choice(voices), options(index)))
    faults = Counter((reply.fault or "").partition(":")[0] for reply in replies if reply.fault)
    rows = [
        [reply.fault, text[:90], str(index)]
        for index, (text, reply) in enumerate(zip(texts, replies, strict=True))
        if reply.fault
    ]
    figures = [
        ratio("failures", "failures", [reply.fault is not None for reply in replies], scale=100,
              unit="%", note=str(dict(faults)) if faults else "", **bars.FAILURES),
        ratio("retries", "replies with a retry", [reply.retries > 0 for reply in replies],
              scale=100, unit="%", **bars.RETRIES),
    ]  # fmt: skip
    examples = [
        Example(reply.fault, text, {"Repartee": reply.samples})
        for text, reply in zip(texts, replies, strict=True)
        if reply.fault and len(reply.samples) > 2400
    ][:4]
    settings = {"replies": num, "language": language, "voices": len(voices)}
    tables = [Table("What failed", ["fault", "text", "number"], rows[:40])] if rows else []
    return Result("robustness", "Robustness", settings, figures, tables, examples)
