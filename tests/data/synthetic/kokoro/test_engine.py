"""The teacher as an engine: pieces, vocal tract sizes, batches, and rejected texts."""

from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.synthetic.kokoro.engine import Delivery, Teacher, held, pieces_of
from data.synthetic.kokoro.voices import kokoro_voices
from data.synthetic.manner import NATURAL_MANNERS
from data.synthetic.phones import PAUSE
from tests.data.synthetic.kokoro.tiny_teacher import tiny_teacher

VOICES = kokoro_voices()
TEXTS = ("Oh no, what happened?", "Yes.", "I was just thinking the same, you know. Shall we?")
NEUTRAL = NATURAL_MANNERS["neutral"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return tiny_teacher(tmp_path_factory.mktemp("kokoro"))


def lines(voice: str = "kokoro-af_heart") -> list[Delivery]:
    return [Delivery(VOICES[voice], text, NEUTRAL) for text in TEXTS]


def test_batches_equal_single_turns(teacher: Teacher, tmp_path: Path) -> None:
    batched = tiny_teacher(tmp_path, batch=4)
    for one, other in zip(teacher.speak(lines()), batched.speak(lines()), strict=True):
        assert one.phones == other.phones
        assert np.corrcoef(one.samples, other.samples)[0, 1] > 0.999


def test_phones_cover_the_audio(teacher: Teacher) -> None:
    for spoken in teacher.speak(lines()):
        assert spoken.sample_rate == SAMPLE_RATE
        assert spoken.phones[0][1] == 0.0
        assert spoken.phones[-1][2] == pytest.approx(spoken.duration)
        assert sum(name != PAUSE for name, _, _ in spoken.phones) >= 3


def test_formants_are_scaled_by_speed_and_sample_rate(teacher: Teacher) -> None:
    large, plain = "kokoro-af_heart+t0.91", "kokoro-af_heart"
    slow, normal = (teacher.speak(lines(voice))[2] for voice in (large, plain))
    assert slow.sample_rate == pytest.approx(0.91 * SAMPLE_RATE)
    assert slow.samples.shape[0] <= normal.samples.shape[0]
    assert slow.phones[-1][2] == pytest.approx(slow.duration)


def test_a_long_text_is_spoken_in_pieces(teacher: Teacher) -> None:
    text = " ".join(["This is a rather long sentence about nothing."] * 30)
    spoken = teacher.speak([Delivery(VOICES["kokoro-bm_george"], text, NEUTRAL)])[0]
    assert spoken.duration > 510 * 0.025 and spoken.phones[-1][2] == pytest.approx(spoken.duration)


@pytest.mark.parametrize("text", ["...", " ", "?!", "—"])
def test_text_without_words_is_rejected(teacher: Teacher, text: str) -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        teacher.speak([Delivery(VOICES["kokoro-af_heart"], text, NEUTRAL)])


def test_pieces_end_at_pauses() -> None:
    assert pieces_of("aa. bb. cc", 8) == ["aa. bb.", "cc"]
    assert pieces_of("aa, bb cc dd", 8) == ["aa,", "bb cc dd"]
    assert pieces_of("aa bb cc", 6) == ["aa bb", "cc"]
    assert pieces_of("a" * 20, 8) == ["a" * 8, "a" * 8, "a" * 4]
    assert pieces_of("short", 8) == ["short"]
    long = "ab, " * 300
    assert all(len(piece) <= 40 for piece in pieces_of(long, 40))
    assert " ".join(pieces_of(long, 40)) == long.strip()


@pytest.mark.parametrize("pause_s", [0.3, 0.8, 1.5])
def test_a_hesitation_is_a_lengthened_vowel_and_a_silence(teacher: Teacher, pause_s: float) -> None:
    voice, manner = VOICES["kokoro-af_heart"], NEUTRAL
    text = "I would like to\N{EM DASH}book a table."
    fluent, hesitant = (
        teacher.speak([Delivery(voice, text, manner, pause_s=pause)])[0]
        for pause in (None, pause_s)
    )
    drawn_s = len(hesitant.samples) / SAMPLE_RATE - len(fluent.samples) / SAMPLE_RATE - pause_s
    assert drawn_s == pytest.approx(0.2, abs=0.03)
    silent = np.flatnonzero(np.abs(hesitant.samples) == 0)
    longest = max(map(len, np.split(silent, np.flatnonzero(np.diff(silent) > 1) + 1)))
    assert longest / SAMPLE_RATE >= pause_s - 0.03
    assert hesitant.phones[-1][2] == pytest.approx(hesitant.duration)
    start, end = max(
        ((a, b) for name, a, b in hesitant.phones[1:-1] if name == PAUSE), key=lambda s: s[1] - s[0]
    )
    assert end - start >= pause_s


@pytest.mark.parametrize(
    ("letters", "drawn"),
    [("tə—bˈʊk", 1), ("ʌm—,", 0), ("hi—", 1), ("—hi", None), ("st—ɑ", None), ("ðə kˈæt—sæt", 5)],
)
def test_the_last_vowel_before_a_dash_is_lengthened(letters: str, drawn: int | None) -> None:
    found = [index for index, frames in enumerate(held(letters)) if frames]
    assert found == ([] if drawn is None else [drawn])
