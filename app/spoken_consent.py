"""Spoken consent to the cloning of a voice: a fixed sentence, said by the same voice."""

import re
from collections.abc import Callable
from difflib import SequenceMatcher

import numpy as np

from app.voice_sample import similarity
from data.audio import SAMPLE_RATE
from data.errors import InputError

SENTENCES = {
    "en": "I allow my voice to be copied, and I have recorded this sentence myself.",
    "zh": "我允许复制我的声音,这句话是我自己录的。",
}
"""By language; a sentence that nobody says by chance, and that can be cut from no other talk."""
MAX_CONSENT_S = 20.0
MIN_WORDS = 0.75  # of the sentence, as matched by the recogniser, which makes mistakes
MIN_LIKENESS = 0.8
"""Cosine of resemblyzer's embeddings, of the sentence and the sample. Of the bundled voices the
same have 0.91 and more; of 132 pairs of different ones 14 have 0.8 and more: it keeps most others
out, and is no proof."""
_MIN_S = 1.5
_NEGATED = re.compile(r"\b(?:not?|never|nor|\w+n't)\b|[不没别未]")


def consent_with(
    consent: str,
    recording: np.ndarray,
    transcribe: Callable[[np.ndarray], str],
    language: str,
    sample: np.ndarray,
) -> str:
    """A consent in words, with what was said of it and how sure it is that it was the same person.

    Args:
        consent: who allows the use of the voice, in words.
        recording: of the sentence, `[T]` at 24 kHz.
        transcribe: says what is said in samples.
        language: of the sentence, a key of `SENTENCES`.
        sample: of the voice that is cloned, `[T]` at 24 kHz.

    Raises:
        InputError: it is another sentence, or another voice.
    """
    sentence = SENTENCES.get(language)
    if sentence is None:
        known = " and ".join(SENTENCES)
        raise InputError(f"there is no sentence of consent in {language!r:.20}; there is {known}")
    seconds = len(recording) / SAMPLE_RATE
    if not _MIN_S <= seconds <= MAX_CONSENT_S:
        raise InputError(
            f"the recording of the consent lasts {seconds:.1f} s; record this sentence, in "
            f"{_MIN_S:g} to {MAX_CONSENT_S:g} s: {sentence}"
        )
    heard = transcribe(recording)
    if _share(sentence, heard) < MIN_WORDS or _NEGATED.search(heard.lower()):
        raise InputError(
            f"the recording of the consent says {heard or 'nothing'!r:.100}; say this sentence: "
            f"{sentence}"
        )
    likeness = similarity(sample, recording)
    if likeness < MIN_LIKENESS:
        raise InputError(
            f"the consent is not in the voice of the sample (likeness {likeness:.2f}, "
            f"{MIN_LIKENESS:g} is needed); the person whose voice it is has to say the sentence"
        )
    return f"{consent.strip()} (said by the same voice, likeness {likeness:.2f}: {sentence})"


def _share(wanted: str, heard: str) -> float:
    """How much of two sentences is the same, in their order, 0 to 1; characters of Chinese count
    as words."""
    first, second = (re.findall(r"[a-z']+|[\u4e00-\u9fff]", one.lower()) for one in (wanted, heard))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
