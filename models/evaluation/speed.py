"""`eval speed`: time to first audio, real-time factor, memory, and the cost of long dialogues."""

import resource
import statistics
import sys

import numpy as np

from data.audio import SAMPLE_RATE
from models.evaluation import bars
from models.evaluation.figures import Result, nothing, quantile
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, speak, voice_named
from models.evaluation.sets import JUDGED_VOICES, SPEED, other_utterances, say, sentences

SHORT, LONG = 2, 20
WARM_UP = 3
NUM_LONG = 5


def evaluate(speaker: EvaluatedSpeaker, options: MakeOptions, num: int) -> Result:
    """Speaks `num` replies after two past turns and a few after twenty, sequentially."""
    name = next(iter(JUDGED_VOICES))
    voice = voice_named(speaker, name, other_utterances(name, 2))[0]
    texts = sentences(num + WARM_UP, SPEED)
    past = [say(name, text, seed=SPEED) for text in sentences(LONG, SPEED + 1000)]

    def replies(turns: int, chosen: list[str]) -> tuple[list[float], list[float]]:
        first, rtf = [], []
        dialogue = speaker.open_dialogue()
        for place, item in enumerate(past[:turns]):
            speaker.add_turn(dialogue, (turns - 1 - place) % 2, item.text, item.samples)
        for index, text in enumerate(chosen):
            made = speak(speaker, dialogue, text, voice, options(index))
            if made.first_audio_ms is not None and made.rtf is not None:
                first.append(made.first_audio_ms)
                rtf.append(made.rtf)
        return first, rtf

    replies(SHORT, texts[:WARM_UP])
    first, rtf = replies(SHORT, texts[WARM_UP:])
    later, _ = replies(LONG, texts[WARM_UP : WARM_UP + NUM_LONG])
    figures = [
        quantile("first_audio_ms", "first audio, median", first, 0.5, unit="ms",
                 **bars.FIRST_AUDIO),
        quantile("first_audio_ms_p95", "first audio, 95 %", first, 0.95, unit="ms"),
        quantile("rtf", "real-time factor, median", rtf, 0.5, **bars.RTF),
    ]  # fmt: skip
    label = f"first audio after {LONG} turns over after {SHORT}"
    if first and later:
        ratios = np.array(later) / statistics.median(first)
        figures.append(quantile("long_dialogue", label, list(ratios), 0.5, **bars.LONG_DIALOGUE))
    else:
        figures.append(nothing("long_dialogue", label, "no reply was made", **bars.LONG_DIALOGUE))
    figures.append(
        quantile("memory_gb", "peak memory of this process", [_peak_gb()], 0.5, unit="GB",
                 note="teacher and instruments included; `bench` measures synthesis alone")
    )  # fmt: skip
    heard_s = sum(len(item.samples) for item in past) / SAMPLE_RATE
    settings = {"replies": num, "long_history_s": round(heard_s, 1)}
    return Result("speed", "Speed", settings, figures)


def _peak_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9
