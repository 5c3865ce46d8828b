"""Phone times from durations."""

import itertools

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.synthetic.kokoro.naming import units_of
from data.synthetic.kokoro.timing import LEAD_S, phones_of
from data.synthetic.phones import PAUSE

FRAME_S = 0.025


def phones(letters: str, frames: list[int], sounding: float | None = None, mandarin: bool = False):
    total = sum(frames) * 600
    samples = np.full(total, 0.3, np.float32)
    if sounding is not None:
        samples[int(sounding * SAMPLE_RATE) :] = 0.0
    return phones_of(letters, np.array(frames), samples, mandarin)


def frames_of(found) -> list[tuple[str, float]]:
    """Names and lengths in frames; silence at the ends left out."""
    return [(name, round((end - start) / FRAME_S, 2)) for name, start, end in found[1:-1]]


def test_the_audio_precedes_the_durations() -> None:
    found = phones("ab", [10, 4, 6, 8])
    assert found[0] == (PAUSE, 0.0, pytest.approx(10 * FRAME_S - LEAD_S))
    assert frames_of(found) == [("a", 4), ("b", 6)]
    assert found[-1][2] == pytest.approx(28 * FRAME_S)


@pytest.mark.parametrize(
    ("letters", "frames", "expected"),
    [
        ("tˈA", [2, 1, 3], [("t", 2), ("eɪ", 4)]),
        ("ˌIm", [1, 4, 2], [("aɪ", 5), ("m", 2)]),
        ("ʤˈʌʧ", [3, 1, 2, 2], [("dʒ", 3), ("ʌ", 3), ("tʃ", 2)]),
        ("iːt", [3, 2, 1], [("i", 5), ("t", 1)]),
        ("a b", [3, 2, 4], [("a", 4), ("b", 5)]),
        ("a b", [3, 6, 4], [("a", 3), (PAUSE, 6), ("b", 4)]),
        ("a, b", [3, 5, 2, 4], [("a", 3), (PAUSE, 7), ("b", 4)]),
        ("a? ˈb", [3, 3, 2, 1, 4], [("a", 3), (PAUSE, 5), ("b", 5)]),
        ("a — b", [3, 2, 4, 2, 4], [("a", 3), (PAUSE, 8), ("b", 4)]),
    ],
)  # fmt: skip
def test_marks_are_merged_with_their_sounds(letters, frames, expected) -> None:
    assert frames_of(phones(letters, [8, *frames, 8])) == expected


@pytest.mark.parametrize(
    ("letters", "frames", "expected"),
    [
        ("ni↓", [2, 3, 1], [("n", 2), ("i3", 4)]),
        ("tʰi→ŋ", [2, 1, 3, 1, 4], [("t", 3), ("i1", 4), ("ŋ", 4)]),
        ("xau↓ pa", [2, 2, 2, 1, 2, 3, 3], [("x", 2), ("au3", 6), ("b", 4), ("a5", 3)]),
        ("ꭧʰə↗ŋ", [2, 1, 3, 1, 2], [("tʂʰ", 3), ("ə2", 4), ("ŋ", 2)]),
        ("njɛ↗n", [2, 1, 3, 1, 2], [("n", 2), ("j", 1), ("e2", 4), ("n", 2)]),
        ("ɻɨ↘ ʨʰy↘", [2, 2, 1, 2, 2, 1, 3, 1], [("ʐ", 2), ("ɨ4", 4), ("tɕʰ", 4), ("y4", 4)]),
        ("tɤ pˈitsə pa", [2, 3, 2, 2, 1, 3, 2, 2, 3, 2, 2, 3],
         [("d", 2), ("ɤ5", 4), ("p", 3), ("i", 4), ("t", 2), ("s", 2), ("ə", 4), ("b", 3),
          ("a5", 3)]),
    ],
)  # fmt: skip
def test_mandarin_phones_have_the_models_names(letters, frames, expected) -> None:
    assert frames_of(phones(letters, [8, *frames, 8], mandarin=True)) == expected


@pytest.mark.parametrize("letters", ["ˈ", "aˈ", "ːa", "↗", "ʰn", "a→→", ".ˈ,", " ", "", "ŋ↘ ʰ"])
@pytest.mark.parametrize("mandarin", [False, True])
def test_no_letter_is_lost(letters: str, mandarin: bool) -> None:
    assert sum(length for _, length in units_of(letters, mandarin)) == len(letters)


def test_phones_end_with_the_sound() -> None:
    found = phones("ab.", [4, 4, 20, 4, 20], sounding=0.4)
    assert found[2][0] == "b" and found[2][2] == pytest.approx(0.4)
    assert all(a <= b for _, a, b in found)
    assert all(before[2] == after[1] for before, after in itertools.pairwise(found))
