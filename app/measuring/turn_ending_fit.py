"""Fits the weights of `app.turn_ending` to scenes in training voices.

    python -m app.measuring.turn_ending_fit --data FOLDER ... --out FOLDER

The scenes are those of `app.measuring.turns`, but of training texts and voices. In every pause
Smart Turn judges the audio as often as in the chat and Whisper transcribes it; nothing ends the
turn.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from app.endpointing import SERVER, AudioInputSettings, Endpointer, SpeechEventKind
from app.level import Leveller
from app.measuring.parts import Bench, Part, Row, measured
from app.measuring.turns import Scene, performed, scene_items
from app.measuring.virtual import STEP
from app.turn_ending import ASKED_MS, Features, TurnJudge, features
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.files import prepare_folder
from data.recognition.smart_turn import SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.whisper_recognizer import WhisperRecognizer

_COUNT, _SEED = 160, 900
_LATEST_END_S = 0.3  # the last pause begins at most this long before the end
_PATIENT_MS = 3000
_EVENTUALLY_MS = max(ASKED_MS) + 100


def rows_of(bench: Bench, folder: Path, until: float) -> list[Row]:
    """Measures the missing scenes until `time.monotonic()` passes `until`."""
    items = scene_items(bench, bench.count or _COUNT, _row)
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
                transcript = bench.recognizer.submit(heard[start:], None, final=True, times=False)
                row["text"] = transcript.result().text
            elif event.kind is SpeechEventKind.RESUMED and row is not None:
                if row["judged"]:
                    yield row
                row = None
        if row is None:
            continue
        silence_ms = 1000 * (len(heard) / SAMPLE_RATE - row["at"])
        if len(row["judged"]) < len(ASKED_MS) and silence_ms >= ASKED_MS[len(row["judged"])]:
            row["judged"].append(bench.judge.judge(heard[start:]).result())
        if row["ends"] and silence_ms > _EVENTUALLY_MS:
            yield row
            return


def samples_of(rows: Sequence[Row], only: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features `[N, 4]` after each judgement of each pause, and whether the turn had ended `[N]`.

    Args:
        rows: scenes.
        only: the index of a judgement, to have the features of this one alone.
    """
    found, ended = [], []
    for pause in (one for row in rows for one in row["pauses"]):
        judged = pause["judged"]
        parts = [judged[: num + 1] for num in range(len(judged))]
        if only is not None:
            parts = [[one] for one in judged[only : only + 1]]
        for part in parts:
            values = features(part, pause["text"])
            if values is not None:
                found.append(values)
                ended.append(bool(pause["ends"]))
    return np.array(found), np.array(ended)


def report(rows: Sequence[Row]) -> str:
    """The weights, and how well audio and words tell ends from pauses, by length of silence."""
    values, ended = samples_of(rows)
    if not 0 < ended.sum() < len(ended):
        raise InputError(f"{len(rows)} scenes lack pauses or ends of turns; raise --count")
    lines = [f"{len(rows)} scenes, {len(ended)} judgements, {ended.sum()} of them of ends"]
    for name, columns in (("with words", [0, 1, 2, 3]), ("without words", [0])):
        fitted = LogisticRegression().fit(values[:, columns], ended)
        names = [*(Features._fields[column] for column in columns), "bias"]
        weights = np.round([*fitted.coef_[0], *fitted.intercept_], 2).tolist()
        lines.append(f"{name}: {dict(zip(names, weights, strict=True))}")
    for only, silence_ms in enumerate(ASKED_MS):
        values, ended = samples_of(rows, only)
        if 0 < ended.sum() < len(ended):
            audio, words = (roc_auc_score(ended, values[:, column]) for column in (0, 1))
            lines.append(
                f"{silence_ms} ms, {len(ended)} pauses: AUC of audio {audio:.3f}, words {words:.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="training speech in NCSSD layout"
    )
    parser.add_argument("--count", type=int, help=f"scenes (default: {_COUNT})")
    parser.add_argument(
        "--seed", type=int, default=_SEED, help="random seed (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="time limit")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/turn-ending"), help="folder (default: %(default)s)"
    )
    args = parser.parse_args()
    bench = Bench(
        WhisperRecognizer(),
        TurnJudge(SmartTurn(find_smart_turn())),
        tuple(args.data),
        args.count,
        args.seed,
        held_out=False,
    )
    try:
        rows = rows_of(bench, prepare_folder(args.out), time.monotonic() + 60 * args.minutes)
        print(report(rows))
    finally:
        bench.recognizer.close()
        bench.judge.close()


if __name__ == "__main__":
    main()
