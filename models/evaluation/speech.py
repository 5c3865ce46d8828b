"""`eval speech`: held-out sentences, spoken by Repartee and by the teacher or a recording."""

from typing import Any

import numpy as np

from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, Table, nothing, ratio, shown
from models.evaluation.melody import compare
from models.evaluation.panel import Panel
from models.evaluation.quality import centroid, distillmos, dnsmos, similarity, voice_embedding
from models.evaluation.replies import MakeOptions, Speaks, Spoken, speak, voice_named
from models.evaluation.sets import EvaluationSet, Item
from models.evaluation.strata import by_stratum
from models.evaluation.timing import carried, time_errors, word_times
from models.evaluation.words import (
    CHARACTER_ERRORS,
    WORD_ERRORS,
    character_errors,
    transcribe,
    word_errors,
)

NUM_EXAMPLES = 4


def evaluate(speaker: Speaks, options: MakeOptions, chosen: EvaluationSet, panel: Panel) -> Result:
    """Speaks every item without history and judges both performances."""
    voices, sources = {}, {}
    for name, others in chosen.others.items():
        voices[name], sources[name] = voice_named(speaker, name, others)
    spoken = [
        speak(speaker, speaker.open_dialogue(), item.text, voices[item.voice], options(index))
        for index, item in enumerate(chosen.items)
    ]
    whole = [i for i, reply in enumerate(spoken) if len(reply.samples) >= 2400]
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
        [_by_voice(rows, [chosen.items[i].voice for i in whole])],
        examples,
    )


def _judged(
    chosen: EvaluationSet, spoken: list[Spoken], whole: list[int], panel: Panel
) -> dict[str, np.ndarray]:
    """One entry a judged reply; NaN where a judge could not say."""
    items = [chosen.items[i] for i in whole]
    theirs, ours = [item.samples for item in items], [spoken[i].samples for i in whole]
    both = panel.ask(
        transcribe,
        [
            (x, item.language)
            for sounds in (theirs, ours)
            for x, item in zip(sounds, items, strict=True)
        ],
    )
    heard = list(zip(both[: len(items)], both[len(items) :], strict=True))
    natural = panel.ask(distillmos, [(x,) for x in theirs + ours])
    clean = panel.ask(dnsmos, [(x,) for x in theirs + ours])
    whose = panel.ask(voice_embedding, [(x,) for x in theirs + ours])
    known = {
        voice: centroid(panel.ask(voice_embedding, [(x,) for x in sounds]))
        for voice, sounds in chosen.others.items()
    }
    compared = panel.ask(compare, list(zip(theirs, ours, strict=True)))
    timing = _timing_ms(items, [spoken[i] for i in whole], panel)
    num = len(items)
    rows: dict[str, list[float]] = {key: [] for key in _COLUMNS}
    for i, item in enumerate(items):
        errors, words = word_errors(item.text, heard[i][1], item.language)
        letters_wrong, letters = character_errors(item.text, heard[i][1], item.language)
        values: dict[str, Any] = {
            "errors": errors,
            "teacher_errors": word_errors(item.text, heard[i][0], item.language)[0],
            "words": words,
            "letter_errors": letters_wrong,
            "teacher_letter_errors": character_errors(item.text, heard[i][0], item.language)[0],
            "letters": letters,
            "distillmos": natural[num + i],
            "teacher_distillmos": natural[i],
            "dnsmos": clean[num + i],
            "teacher_dnsmos": clean[i],
            "similarity": similarity(whose[num + i], known[item.voice]),
            "teacher_similarity": similarity(whose[i], known[item.voice]),
            "timing_ms": timing[i],
            **{key: (compared[i] or {}).get(key, np.nan) for key in _COMPARED},
        }
        for key in _COLUMNS:
            rows[key].append(values[key])
    return {key: np.array(values, dtype=float) for key, values in rows.items()}


def _timing_ms(items: list[Item], spoken: list[Spoken], panel: Panel) -> list[float]:
    """Mean error of the times that each reply tells of its words; NaN where nothing is known."""
    known = [word_times(item.phones, item.text) if item.phones else [] for item in items]
    questions = [
        (item.samples, reply.samples, tuple(at for _, *span in words for at in span))
        for item, reply, words in zip(items, spoken, known, strict=True)
    ]
    found = []
    for reply, words, there in zip(spoken, known, panel.ask(carried, questions), strict=True):
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
    spoken: list[Spoken],
    whole: list[int],
    items: list[Item],
    places: list[int],
) -> list[Figure]:
    """The figures of the replies to the items at `places`."""
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
    spoken: list[Spoken],
    whole: list[int],
    said: list[str],
    language: str = "en",
) -> list[Figure]:
    """Of all replies, whose texts are `said`, and of those in `whole`, which `rows` judge."""
    wrong, wrong_letters = WORD_ERRORS[language], CHARACTER_ERRORS[language]
    words, letters = rows["words"], rows["letters"]
    texts = [said[i] for i in whole]
    same: dict[str, Any] = {"groups": texts}

    def wer(errors: np.ndarray) -> float | None:
        return float(100 * errors.sum() / words.sum()) if len(words) else None

    def cer(errors: np.ndarray) -> float | None:
        return float(100 * errors.sum() / letters.sum()) if len(letters) else None

    def mean(key: str) -> float | None:
        return float(rows[key].mean()) if len(rows[key]) else None

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
              teacher=wer(rows["teacher_errors"]), **same),
        ratio("wer_difference", f"{wrong} minus teacher's",
              rows["errors"] - rows["teacher_errors"], words, scale=100, unit="points",
              **bars.SPEECH_WER[language], **same),
        ratio("cer", wrong_letters, rows["letter_errors"], letters, scale=100, unit="%",
              teacher=cer(rows["teacher_letter_errors"]), **same),
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
