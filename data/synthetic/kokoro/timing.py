"""When each phone sounds, from Kokoro's durations."""

import numpy as np

from data.audio import SAMPLE_RATE
from data.synthetic.kokoro.generator import FRAME_SAMPLES
from data.synthetic.phones import PAUSE, Phone

LEAD_S = 0.05
"""The sound runs ahead of the durations by this much; measured against sonorant phones."""

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
_AUDIBLE = 0.01  # of the peak
_LEVEL_SAMPLES = 120
_PAUSE_FRAMES = 5  # a space that is longer is a pause

# Kokoro's letters for two sounds -> IPA.
_IPA = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ",
    "T": "ɾ", "ᵊ": "ə", "ʦ": "ts", "ʨ": "tɕ", "ꭧ": "tʂ",
}  # fmt: skip
_STRESS = "ˈˌ"
_TONES = "→↗↓↘"
_AFTER = frozenset("ːʰʲ" + _TONES)
_PAUSES = frozenset(';:,.!?—…"()“”')


def phones_of(letters: str, durations: np.ndarray, samples: np.ndarray) -> list[Phone]:
    """Phones with their times.

    A stress mark's time belongs to the vowel after it; that of a tone, a length or an aspiration
    to the sound before it. A space is divided between its neighbours, unless it is a pause.

    Args:
        letters: what was spoken, a token each.
        durations: frames of the silence before, of each token, of the silence after, `[N + 2]`.
        samples: the sound, `[600 T]`.

    Returns:
        IPA names, tones behind their vowels, PAUSE for silence; all within the sound.
    """
    assert len(durations) == len(letters) + 2
    ends = np.clip(np.cumsum(durations) * _FRAME_S - LEAD_S, 0.0, _end_of_sound(samples))
    phones: list[Phone] = [(PAUSE, 0.0, float(ends[0]))]
    for letter, frames, end in zip(letters, durations[1:-1], ends[1:-1], strict=True):
        name, start, before = phones[-1]
        end = float(end)
        if letter in _AFTER and name != PAUSE:
            tone = letter if letter in _TONES or letter == "ʰ" else ""
            phones[-1] = (name + tone, start, end)
        elif letter == " ":
            phones.append((PAUSE if frames >= _PAUSE_FRAMES else " ", before, end))
        elif letter in _PAUSES:
            phones.append((PAUSE, before, end))
        elif name == _STRESS:
            phones[-1] = (_IPA.get(letter, letter), start, end)
        else:
            phones.append((_STRESS if letter in _STRESS else _IPA.get(letter, letter), before, end))
    phones.append((PAUSE, phones[-1][2], samples.shape[0] / SAMPLE_RATE))
    return _without_spaces([phone for phone in phones if phone[0] != _STRESS])


def _end_of_sound(samples: np.ndarray) -> float:
    """Where the sound falls under what is audible for good, in seconds."""
    whole = samples.shape[0] // _LEVEL_SAMPLES * _LEVEL_SAMPLES
    level = np.abs(samples[:whole]).reshape(-1, _LEVEL_SAMPLES).max(1)
    loud = np.flatnonzero(level > _AUDIBLE * level.max(initial=0.0))
    return float(loud[-1] + 1) * _LEVEL_SAMPLES / SAMPLE_RATE if loud.size else 0.0


def _without_spaces(phones: list[Phone]) -> list[Phone]:
    """Divides the time of short spaces between their neighbours; pauses take it all."""
    kept: list[Phone] = []
    for index, (name, start, end) in enumerate(phones):
        if name != " ":
            kept.append((name, kept[-1][2] if kept else start, end))
            continue
        silent_before = kept[-1][0] == PAUSE
        silent_after = phones[index + 1][0] == PAUSE
        middle = (start + end) / 2
        border = end if silent_before else start if silent_after else middle
        kept[-1] = (kept[-1][0], kept[-1][1], border)
    return kept
