"""`python -m app.turn_scenes DIR`: turns cut short by a pause, and the time to know a turn's end.

A scene is a turn of a corpus in NCSSD layout with a pause of 0.3 to 1.5 s put behind one of its
words. Unlike a real pause such a one comes without hesitation, lengthening or held pitch: the word
before it was spoken by somebody who went on. Smart Turn and Whisper are asked at 200 ms of silence,
as in the chat; a fixed silence stands beside them. A turn that ends in its pause counts as cut,
although the chat would reopen it if nothing had been spoken yet.
"""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.turn_ending import patience_ms
from data.audio import SAMPLE_RATE, read_audio, resample
from data.errors import InputError
from data.recognition.smart_turn import TURN_HZ, SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.whisper import Whisper
from data.recognition.whisper_weights import find_whisper

_SILENCE_S, _ASKED_MS = 0.2, 200
_PAUSES_MS = (300, 1500)
_FIXED_MS = 500
_SENTENCE_ENDS = ".?!。？！"


@dataclass(frozen=True)
class Scene:
    """`pause_ms` of silence inside a turn; the silences that end it there and at its end."""

    pause_ms: float
    needed_in_pause_ms: float
    needed_at_end_ms: float


def main(argv: list[str] | None = None) -> int:
    """Measures the ends of turns on scenes made of a corpus."""
    parser = argparse.ArgumentParser(prog="python -m app.turn_scenes", description=main.__doc__)
    parser.add_argument("corpus", type=Path, help="a folder in NCSSD layout")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--eagerness", choices=("low", "medium", "high"), default="medium")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    judge, whisper = SmartTurn(find_smart_turn()), Whisper(find_whisper())
    rng = random.Random(args.seed)
    paths = sorted(args.corpus.glob("*/*.wav"))
    rng.shuffle(paths)
    scenes: list[Scene] = []
    for path in paths:
        if len(scenes) == args.scenes:
            break
        sound = resample(read_audio(path), SAMPLE_RATE, TURN_HZ)
        scene = _scene(sound, judge, whisper, args.language, args.eagerness, rng)
        scenes += [] if scene is None else [scene]
    if not scenes:
        raise InputError(f"{args.corpus} holds no turn with three words; give a corpus")
    _print(scenes)
    return 0


def _scene(
    sound: np.ndarray,
    judge: SmartTurn,
    whisper: Whisper,
    language: str,
    eagerness: str,
    rng: random.Random,
) -> Scene | None:
    words = whisper.transcribe(sound, language, word_times=True, hastily=True).words
    inner = [one.end for one in words[1:-1] if one.text[-1:] not in _SENTENCE_ENDS]
    if not inner:
        return None
    needed = []
    for end_s in (rng.choice(inner), len(sound) / TURN_HZ):
        silence = np.zeros(int(_SILENCE_S * TURN_HZ), np.float32)
        heard = np.concatenate([sound[: int(end_s * TURN_HZ)], silence])
        text = whisper.transcribe(heard, language).text
        needed.append(patience_ms(judge.finished(heard), text, eagerness))
    return Scene(rng.uniform(*_PAUSES_MS), *needed)


def _print(scenes: list[Scene]) -> None:
    cut = np.mean([one.pause_ms >= one.needed_in_pause_ms for one in scenes])
    fixed = np.mean([one.pause_ms >= _FIXED_MS for one in scenes])
    known = np.median([max(_ASKED_MS, one.needed_at_end_ms) for one in scenes])
    print(f"{len(scenes)} scenes; without the time that recognition takes")
    print(f"semantic_vad: {cut:.1%} cut short, end known after {known:.0f} ms (median)")
    print(f"silence of {_FIXED_MS} ms: {fixed:.1%} cut short, end known after {_FIXED_MS} ms")


if __name__ == "__main__":
    raise SystemExit(main())
