"""What a bundle of models must reach (bar) and what it aims at (goal), by figure."""

from typing import TypedDict

from models.evaluation.figures import Bar


class Asked(TypedDict, total=False):
    """The bars of one figure, as keyword arguments of `Figure`."""

    bar: Bar
    goal: Bar


def at_most(limit: float) -> Bar:
    return Bar(high=limit)


def at_least(limit: float) -> Bar:
    return Bar(low=limit)


VOCODER_WER = Asked(bar=at_most(0.5))
VOCODER_SIMILARITY = Asked(bar=at_least(0.95))
VOCODER_DISTILLMOS = {  # by whether the voice is held out; None for recordings
    False: Asked(bar=at_most(0.30)),
    True: Asked(bar=at_most(0.45)),
    None: Asked(bar=at_most(0.60)),
}
SPEECH_WER = {"en": Asked(bar=at_most(1.5)), "zh": Asked(bar=at_most(3.0))}
SPEECH_SIMILARITY = Asked(bar=at_least(0.84))
SPEECH_DISTILLMOS = Asked(bar=at_least(3.8), goal=at_least(3.9))
WORD_TIMES = Asked(bar=at_most(40.0))
PHONE_TIMES = Asked(bar=at_most(40.0))
CHANCE = Asked(bar=Bar(40.0, 60.0))  # 50 % and two standard deviations of 100 pairs
MANNER = Asked(bar=at_least(95.0), goal=at_least(95.0))
MANNER_SEMITONES = Asked(bar=at_least(3.0))
MANNER_RATE = Asked(bar=at_least(1.25))
CLONE_SIMILARITY = Asked(bar=at_least(0.78))
CLONE_NEAREST = Asked(bar=at_least(85.0))
STEADY = Asked(goal=at_least(0.85))
FAILURES = Asked(bar=at_most(0.0))
RETRIES = Asked(bar=at_most(3.0))
FIRST_AUDIO = Asked(bar=at_most(80.0), goal=at_most(50.0))
RTF = Asked(bar=at_most(0.15), goal=at_most(0.10))
LONG_DIALOGUE = Asked(goal=at_most(1.2))
TOPIC = Asked(bar=at_least(85.0))
STREAMS_WER = Asked(bar=at_most(5.0))
ANSWER_AUDIO = Asked(bar=at_most(250.0))
ANSWERS_STOP = Asked(bar=at_least(100.0))
