"""Fits the weights of `app.turn_ending` to scenes in training voices.

    python -m app.measuring.turn_ending_fit dialogues.jsonl.gz ... --out FOLDER

The scenes are those of `app.measuring.turns`, and half as many without a hesitation, but with
voices of training and texts of the validation split, of which `data.recognition.sentence_ends`
knows none. In every pause Smart Turn judges the audio as often as in the chat and Whisper
transcribes it; nothing ends the turn.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from app.endpointing import SERVER, AudioInputSettings, Endpointer, SpeechEventKind
from app.level import Leveller
from app.measuring.parts import Bench, Part, Row, measured
from app.measuring.turns import Scene, performed, scene_items
from app.measuring.virtual import STEP, Stopwatch
from app.turn_ending import (
    ASKED_MS,
    Features,
    TurnJudge,
    features,
    language_of_end,
    patience_ms,
)
from app.voice_activity import FRAME_MS
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.files import prepare_folder
from data.languages import LANGUAGES
from data.recognition.smart_turn import SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.whisper_recognizer import WhisperRecognizer
from data.synthetic.hesitations import DASH
from data.synthetic.texts import TextDialogue, held_out_turns, read_texts

_COUNT, _SEED = 240, 900
_FLUENT = 2.0  # weight of scenes without a hesitation, of which there are half as many
_LATEST_END_S = 0.3  # the last pause begins at most this long before the end
_PATIENT_MS = 3000
_EVENTUALLY_MS = max(ASKED_MS) + 100


def rows_of(
    bench: Bench, dialogues: Sequence[TextDialogue], folder: Path, until: float
) -> list[Row]:
    """Measures the missing scenes until `time.monotonic()` passes `until`."""

    def texts_of(language: str) -> list[str]:
        return held_out_turns(dialogues, language, "validation")

    num = bench.count or _COUNT
    items = scene_items(bench, num, _row, texts_of)
    items += scene_items(bench, num // 2, _row, texts_of, fluent=True)
    return measured(Part(f"turn-ending-{bench.seed}", items, lambda _: []), folder, until)


def _row(bench: Bench, scene: Scene) -> Row:
    sound, _, end_s = performed(scene)
    return {
        "language": scene.language,
        "text": scene.text,
        "end_at": end_s,
        "pauses": list(_pauses(bench, sound, end_s)),
    }


def _pauses(bench: Bench, sound: np.ndarray, end_s: float) -> Iterator[Row]:
    """Pauses in samples `[T]` at 24 kHz that are long enough for a judgement."""
    leveller, endpointer = (
        Leveller(),
        Endpointer(AudioInputSettings(detection=SERVER, silence_ms=_PATIENT_MS)),
    )
    heard, start, row = np.zeros(0, np.float32), 0, None
    for first in range(0, len(sound), STEP):
        heard = np.concatenate([heard, leveller.push(sound[first : first + STEP])])
        for event in endpointer.push(heard[first:]):
            if event.kind is SpeechEventKind.STARTED:
                start = max(0, event.at - endpointer.settings.prefix_ms * SAMPLE_RATE // 1000)
            elif event.kind is SpeechEventKind.PAUSED:
                at = event.at / SAMPLE_RATE
                row = {"at": at, "ends": at > end_s - _LATEST_END_S, "judged": []}
                stopwatch = Stopwatch()
                transcript = bench.recognizer.submit(heard[start:], None, final=True, times=False)
                row["text"] = transcript.result().text
                row["text_ms"] = 1000 * (len(heard) / SAMPLE_RATE - at + stopwatch.read()[1])
                row["judging_ms"] = 0.0
            elif event.kind is SpeechEventKind.RESUMED and row is not None:
                row["lasted_ms"] = 1000 * (event.at / SAMPLE_RATE - row["at"])
                if row["judged"]:
                    yield row
                row = None
        if row is None:
            continue
        silence_ms = 1000 * (len(heard) / SAMPLE_RATE - row["at"])
        if len(row["judged"]) < len(ASKED_MS) and silence_ms >= ASKED_MS[len(row["judged"])]:
            stopwatch = Stopwatch()
            row["judged"].append(bench.judge.judge(heard[start:]).result())
            row["judging_ms"] = max(row["judging_ms"], 1000 * stopwatch.read()[1])
        if row["ends"] and silence_ms > _EVENTUALLY_MS:
            yield row
            return


def samples_of(
    rows: Sequence[Row], language: str = "", only: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features `[N, 2]` after each judgement of each pause, whether the turn had ended `[N]`, and
    weights `[N]`.

    Args:
        rows: scenes.
        language: only pauses behind words of it.
        only: the index of a judgement, to have the features of this one alone.
    """
    found, ended, weights = [], [], []
    for row, pause in ((one, pause) for one in rows for pause in one["pauses"]):
        judged = pause["judged"]
        parts = [judged[: num + 1] for num in range(len(judged))]
        if only is not None:
            parts = [[one] for one in judged[only : only + 1]]
        for part in parts:
            values = features(part, pause["text"])
            if values is not None and language in ("", language_of_end(pause["text"])):
                found.append(values)
                ended.append(bool(pause["ends"]))
                weights.append(1.0 if DASH in row["text"] else _FLUENT)
    return np.array(found), np.array(ended), np.array(weights)


def ends_ms(pause: Row, patience: Callable[[Sequence[float], str], float]) -> float:
    """The silence in ms after which a pause ends the turn.

    Args:
        pause: of a row.
        patience: see `app.turn_ending.patience_ms`.
    """
    for silence_ms in range(FRAME_MS, _PATIENT_MS, FRAME_MS):
        known = sum(ms + pause["judging_ms"] <= silence_ms for ms in ASKED_MS)
        judged = pause["judged"][:known]
        if not judged or pause["text_ms"] > silence_ms:
            continue
        if patience(judged, pause["text"]) <= silence_ms:
            return float(silence_ms)
    return float(_PATIENT_MS)


def cut_and_known(
    rows: Sequence[Row], patience: Callable[[Sequence[float], str], float]
) -> tuple[float, float]:
    """The share of turns cut short in a pause, and the median time to know the end in ms."""
    cut, known = [], []
    for row in rows:
        ends = [(ends_ms(pause, patience), pause) for pause in row["pauses"]]
        cut.append(any(ms < pause["lasted_ms"] for ms, pause in ends if not pause["ends"]))
        known += [ms for ms, pause in ends if pause["ends"]]
    return float(np.mean(cut)), float(np.median(known))


def report(rows: Sequence[Row]) -> str:
    """The weights, and how well audio and words tell ends from pauses, by length of silence."""
    values, ended, counts = samples_of(rows)
    if not 0 < ended.sum() < len(ended):
        raise InputError(f"{len(rows)} scenes lack pauses or ends of turns; raise --count")
    lines = [f"{len(rows)} scenes, {len(ended)} judgements, {ended.sum()} of them of ends"]
    lines.append(f"without words: {_fitted(values[:, :1], ended, counts)}")
    for language in LANGUAGES:
        values, ended, counts = samples_of(rows, language)
        if 0 < ended.sum() < len(ended):
            lines.append(f"with words in {language}: {_fitted(values, ended, counts)}")
    for only, silence_ms in enumerate(ASKED_MS):
        values, ended, _ = samples_of(rows, only=only)
        if 0 < ended.sum() < len(ended):
            audio, words = (roc_auc_score(ended, values[:, column]) for column in (0, 1))
            lines.append(
                f"{silence_ms} ms, {len(ended)} pauses: AUC of audio {audio:.3f}, words {words:.3f}"
            )
    for language in LANGUAGES:
        some = [row for row in rows if DASH in row["text"] and row["language"] == language]
        if some:
            cut, known_ms = cut_and_known(
                some, lambda judged, text: patience_ms(judged, text, "auto")
            )
            lines.append(
                f"{language}, with the present weights: {cut:.1%} cut short, end known after "
                f"{known_ms:.0f} ms"
            )
    return "\n".join(lines)


def _fitted(values: np.ndarray, ended: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """The weights by name, for features `[N, C]`, the first C of `Features`."""
    fitted = LogisticRegression().fit(values, ended, counts)
    names = [*Features._fields[: values.shape[1]], "bias"]
    weights = np.round([*fitted.coef_[0], *fitted.intercept_], 2).tolist()
    return dict(zip(names, weights, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+", help="dialogues, JSONL, plain or gzip")
    parser.add_argument("--count", type=int, help=f"scenes (default: {_COUNT})")
    parser.add_argument(
        "--seed", type=int, default=_SEED, help="random seed (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="time limit")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/turn-ending"), help="folder (default: %(default)s)"
    )
    args = parser.parse_args()
    threadpool_limits(1)  # as `launch.py` does; threads that spin would count as work
    bench = Bench(
        WhisperRecognizer(),
        TurnJudge(SmartTurn(find_smart_turn())),
        (),
        args.count,
        args.seed,
        held_out=False,
    )
    try:
        until = time.monotonic() + 60 * args.minutes
        rows = rows_of(bench, list(read_texts(args.texts)), prepare_folder(args.out), until)
        print(report(rows))
    finally:
        bench.recognizer.close()
        bench.judge.close()


if __name__ == "__main__":
    main()
