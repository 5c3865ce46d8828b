"""`eval speech`: held-out sentences, spoken by Repartee and by the teacher or a person."""

from typing import Any

import numpy as np

from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, Table, nothing, ratio, shown
from models.evaluation.melody import compare
from models.evaluation.panel import Panel
from models.evaluation.quality import centroid, distillmos, dnsmos, similarity, voice_embedding
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, SpokenReply, speak, voice_named
from models.evaluation.sets import EvaluationSet, Item
from models.evaluation.strata import by_stratum
from models.evaluation.timing import time_errors, transfer_times, word_times
from models.evaluation.words import (
    CHARACTER_ERRORS,
    WORD_ERRORS,
    character_errors,
    transcribe,
    word_errors,
)

NUM_EXAMPLES = 4
SHORTEST_SOUND = 2400  # samples; shorter replies are not scored


def evaluate(
    speaker: EvaluatedSpeaker, options: MakeOptions, chosen: EvaluationSet, panel: Panel
) -> Result:
    """Speaks every item without history and scores both renditions."""
    voices, sources = {}, {}
    for name, others in chosen.others.items():
        voices[name], sources[name] = voice_named(speaker, name, others)
    spoken = [
        speak(speaker, speaker.open_dialogue(), item.text, voices[item.voice], options(index))
        for index, item in enumerate(chosen.items)
    ]
    whole = [i for i, reply in enumerate(spoken) if len(reply.samples) >= SHORTEST_SOUND]
    rows = _judged(chosen, spoken, whole, panel)
    figures = by_stratum(
        chosen.items, lambda places: _of_stratum(rows, spoken, whole, chosen.items, places)
    )
    examples = [
        Example(
            f"{chosen.items[i].voice}",
            chosen.items[i].text,
            {chosen.source: chosen.items[i].samples, "Repartee": spoken[i].samples},
        )
        for i in whole[:NUM_EXAMPLES]
    ]
    settings = {"items": len(chosen.items), "source": chosen.source, "voices": sources}
    return Result(
        "speech",
        "Speech: held-out sentences, without history",
        settings,
        figures,
        [_by_voice(rows, [chosen.items[i].voice for i in whole]), *_failed(chosen.items, spoken)],
        examples,
    )


def _judged(
    chosen: EvaluationSet, spoken: list[SpokenReply], whole: list[int], panel: Panel
) -> dict[str, np.ndarray]:
    """Scores per reply; NaN where a judge gave none."""
    items, replies = [chosen.items[i] for i in whole], [spoken[i] for i in whole]
    theirs, ours = [item.samples for item in items], [reply.samples for reply in replies]
    known = {
        voice: centroid(panel.ask(voice_embedding, [(x,) for x in sounds]))
        for voice, sounds in chosen.others.items()
    }
    rows = _performance(items, ours, known, panel)
    teacher = _performance(items, theirs, known, panel)
    rows |= {f"teacher_{key}": values for key, values in teacher.items()}
    compared = panel.ask(compare, list(zip(theirs, ours, strict=True)))
    for key in _COMPARED:
        rows[key] = [(found or {}).get(key, np.nan) for found in compared]
    rows["timing_ms"] = _timing_ms(items, replies, panel)
    return {key: np.array(rows[key], dtype=float) for key in _COLUMNS}


def _performance(
    items: list[Item], sounds: list[np.ndarray], known: dict[str, list[float]], panel: Panel
) -> dict[str, list[float]]:
    """Scores of sounds on their own, by item; NaN for missing sounds.

    Args:
        known: embeddings of the items' voices.
    """
    there = [place for place, sound in enumerate(sounds) if len(sound) >= SHORTEST_SOUND]
    languages = [items[i].language for i in there]
    heard = panel.ask(transcribe, [(sounds[i], items[i].language) for i in there])
    said = [items[i].text for i in there]
    judged = list(zip(said, heard, languages, strict=True))
    whose = panel.ask(voice_embedding, [(sounds[i],) for i in there])
    values = {
        "errors": [word_errors(*one)[0] for one in judged],
        "words": [word_errors(*one)[1] for one in judged],
        "letter_errors": [character_errors(*one)[0] for one in judged],
        "letters": [character_errors(*one)[1] for one in judged],
        "distillmos": panel.ask(distillmos, [(sounds[i],) for i in there]),
        "dnsmos": panel.ask(dnsmos, [(sounds[i],) for i in there]),
        "similarity": [
            similarity(vector, known[items[i].voice])
            for i, vector in zip(there, whose, strict=True)
        ],
    }
    found = {key: [np.nan] * len(sounds) for key in values}
    for key, column in values.items():
        for place, value in zip(there, column, strict=True):
            found[key][place] = value
    return found


def _timing_ms(items: list[Item], spoken: list[SpokenReply], panel: Panel) -> list[float]:
    """Mean error of the word times of each reply; NaN where the true ones are unknown."""
    known = [word_times(item.phones, item.text) if item.phones else [] for item in items]
    questions = [
        (item.samples, reply.samples, tuple(at for _, *span in words for at in span))
        for item, reply, words in zip(items, spoken, known, strict=True)
    ]
    found = []
    for reply, words, there in zip(
        spoken, known, panel.ask(transfer_times, questions), strict=True
    ):
        errors = time_errors(reply.words, words, there) if words and there else []
        found.append(1000 * float(np.mean(errors)) if errors else np.nan)
    return found


_COMPARED = ("mcd_db", "f0_rmse_hz", "pitch_dtw_hz", "duration")
_COLUMNS = (
    "errors",
    "teacher_errors",
    "words",
    "letter_errors",
    "teacher_letter_errors",
    "letters",
    "distillmos",
    "teacher_distillmos",
    "dnsmos",
    "teacher_dnsmos",
    "similarity",
    "teacher_similarity",
    "timing_ms",
    *_COMPARED,
)


def _of_stratum(
    rows: dict[str, np.ndarray],
    spoken: list[SpokenReply],
    whole: list[int],
    items: list[Item],
    places: list[int],
) -> list[Figure]:
    """Figures of the replies to the items at `places`."""
    judged = [row for row, i in enumerate(whole) if i in places]
    return _figures(
        {key: values[judged] for key, values in rows.items()},
        [spoken[i] for i in places],
        [places.index(whole[row]) for row in judged],
        [items[i].text for i in places],
        items[places[0]].language,
    )


def _figures(
    rows: dict[str, np.ndarray],
    spoken: list[SpokenReply],
    whole: list[int],
    said: list[str],
    language: str = "en",
) -> list[Figure]:
    """Figures of all replies with texts `said`, and of those in `whole`, whose scores are `rows`.

    Long because it is a table, a line or two per figure.
    """
    wrong, wrong_letters = WORD_ERRORS[language], CHARACTER_ERRORS[language]
    words, letters = rows["words"], rows["letters"]
    texts = [said[i] for i in whole]
    same: dict[str, Any] = {"groups": texts}

    spoken_too = np.isfinite(rows["teacher_errors"])  # by the teacher

    def share(errors: str, of: np.ndarray) -> float | None:
        wrong = rows[errors][spoken_too].sum()
        return float(100 * wrong / of[spoken_too].sum()) if spoken_too.any() else None

    def mean(key: str) -> float | None:
        return float(np.nanmean(rows[key])) if np.isfinite(rows[key]).any() else None

    def known(key: str, label: str, unit: str, **rest: Any) -> Figure:
        there = np.isfinite(rows[key])
        names = [text for text, is_there in zip(texts, there, strict=True) if is_there]
        return ratio(key, label, rows[key][there], groups=names, unit=unit, **rest)

    timed = known(
        "timing_ms",
        "word timing error",
        "ms",
        note="against the teacher's times, laid over the reply",
        **bars.WORD_TIMES,
    )
    faults = [reply.fault for reply in spoken if reply.fault]
    return [
        ratio("wer", wrong, rows["errors"], words, scale=100, unit="%",
              teacher=share("teacher_errors", words), **same),
        ratio("wer_difference", f"{wrong} minus teacher's",
              (rows["errors"] - rows["teacher_errors"])[spoken_too], words[spoken_too], scale=100,
              unit="points", groups=[text for text, there in zip(texts, spoken_too, strict=True)
                                     if there], **bars.SPEECH_WER[language]),
        ratio("cer", wrong_letters, rows["letter_errors"], letters, scale=100, unit="%",
              teacher=share("teacher_letter_errors", letters), **same),
        ratio("similarity", "similarity to the voice's other utterances", rows["similarity"],
              teacher=mean("teacher_similarity"), **bars.SPEECH_SIMILARITY, **same),
        ratio("distillmos", "DistillMOS", rows["distillmos"],
              teacher=mean("teacher_distillmos"), **bars.SPEECH_DISTILLMOS, **same),
        ratio("dnsmos", "DNSMOS overall", rows["dnsmos"], teacher=mean("teacher_dnsmos"), **same),
        timed if timed.num else nothing("timing_ms", "word timing error",
                                        "no times to compare with", unit="ms", **bars.WORD_TIMES),
        known("mcd_db", "mel-cepstral distortion, DTW", "dB"),
        known("f0_rmse_hz", "F0 RMSE along the path", "Hz"),
        known("pitch_dtw_hz", "pitch DTW distance", "Hz"),
        known("duration", "duration error", "%", scale=100),
        ratio("failures", "failures", [reply.fault is not None for reply in spoken], groups=said,
              scale=100, unit="%", note="; ".join(sorted(set(faults)))[:200], **bars.FAILURES),
        ratio("retries", "replies with a retry", [reply.retries > 0 for reply in spoken],
              groups=said, scale=100, unit="%", **bars.RETRIES),
    ]  # fmt: skip


def _failed(items: list[Item], spoken: list[SpokenReply]) -> list[Table]:
    """Table of the faults of replies, if there are any."""
    rows = [
        [reply.fault, item.text[:90]]
        for item, reply in zip(items, spoken, strict=True)
        if reply.fault
    ]
    return [Table("What failed", ["fault", "text"], rows[:20])] if rows else []


def _by_voice(rows: dict[str, np.ndarray], voices: list[str]) -> Table:
    lines = []
    for voice in dict.fromkeys(voices):
        mine = np.array([v == voice for v in voices])
        words = rows["words"][mine].sum()
        lines.append(
            [
                voice,
                shown(100 * rows["errors"][mine].sum() / words),
                shown(100 * rows["teacher_errors"][mine].sum() / words),
                shown(rows["similarity"][mine].mean()),
                shown(rows["teacher_similarity"][mine].mean()),
                shown(rows["distillmos"][mine].mean()),
                shown(rows["teacher_distillmos"][mine].mean()),
                str(mine.sum()),
            ]
        )
    beside = ("words wrong %", "similarity", "DistillMOS")
    columns = ["voice", *(name for figure in beside for name in (figure, "teacher")), "n"]
    return Table("By voice", columns, lines[:24])
