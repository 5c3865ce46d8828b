"""Bars (what a bundle must reach) and goals (what it aims at) of the figures."""

from typing import TypedDict

from models.evaluation.figures import Bar


class FigureBars(TypedDict, total=False):
    """Bar and goal of one figure, as keyword arguments of `Figure`."""

    bar: Bar
    goal: Bar


def at_most(limit: float) -> Bar:
    return Bar(high=limit)


def at_least(limit: float) -> Bar:
    return Bar(low=limit)


VOCODER_WER = FigureBars(bar=at_most(0.5))
VOCODER_SIMILARITY = FigureBars(bar=at_least(0.95))
VOCODER_DISTILLMOS = {  # by held out or not; None for recordings
    False: FigureBars(bar=at_most(0.30)),
    True: FigureBars(bar=at_most(0.45)),
    None: FigureBars(bar=at_most(0.60)),
}
SPEECH_WER = {"en": FigureBars(bar=at_most(1.5)), "zh": FigureBars(bar=at_most(3.0))}
SPEECH_SIMILARITY = FigureBars(bar=at_least(0.84))
SPEECH_DISTILLMOS = FigureBars(bar=at_least(3.8), goal=at_least(3.9))
WORD_TIMES = FigureBars(bar=at_most(40.0))
PHONE_TIMES = FigureBars(bar=at_most(40.0))
CHANCE = FigureBars(bar=Bar(40.0, 60.0))  # 50 %, plus or minus two standard deviations of 100 pairs
MANNER = FigureBars(bar=at_least(95.0), goal=at_least(95.0))
MANNER_SEMITONES = FigureBars(bar=at_least(3.0))
MANNER_RATE = FigureBars(bar=at_least(1.25))
CLONE_SIMILARITY = FigureBars(bar=at_least(0.78))
CLONE_NEAREST = FigureBars(bar=at_least(85.0))
STEADY = FigureBars(goal=at_least(0.85))
FAILURES = FigureBars(bar=at_most(0.0))
RETRIES = FigureBars(bar=at_most(3.0))
FIRST_AUDIO = FigureBars(bar=at_most(80.0), goal=at_most(50.0))
RTF = FigureBars(bar=at_most(0.15), goal=at_most(0.10))
LONG_DIALOGUE = FigureBars(goal=at_most(1.2))
TOPIC = FigureBars(bar=at_least(85.0))
STREAMS_WER = FigureBars(bar=at_most(5.0))
ANSWER_AUDIO = FigureBars(bar=at_most(250.0))
ANSWERS_STOP = FigureBars(bar=at_least(100.0))
