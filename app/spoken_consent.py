"""Spoken consent to voice cloning: a fixed sentence, spoken by the same voice."""

import re
from collections.abc import Callable
from difflib import SequenceMatcher

import numpy as np

from app.voice_sample import similarity
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.text import HAN_LETTERS

SENTENCES = {
    "en": "I allow my voice to be copied, and I have recorded this sentence myself.",
    "zh": "我允许复制我的声音,这句话是我自己录的。",
}
"""By language: sentences that nobody says by chance or that could be cut from other speech."""
MAX_CONSENT_S = 20.0
MIN_WORDS = 0.75  # least share of the sentence's words, to allow for recognition errors
MIN_LIKENESS = 0.8
"""Least cosine similarity of the resemblyzer embeddings of sentence and sample. Within a bundled
voice it is at least 0.91; of 132 pairs of different voices, 14 reach 0.8. It rejects most other
voices but is no proof."""
_MIN_S = 1.5
_NEGATED = re.compile(r"\b(?:not?|never|nor|\w+n't)\b|[不没别未]")


def consent_with(
    consent: str,
    recording: np.ndarray,
    transcribe: Callable[[np.ndarray], str],
    language: str,
    sample: np.ndarray,
) -> str:
    """Verifies a spoken consent; returns the consent statement with sentence and similarity.

    Args:
        consent: the written consent statement.
        recording: the spoken sentence, `[T]` at 24 kHz.
        transcribe: transcribes samples.
        language: the sentence's language, a key of `SENTENCES`.
        sample: the sample of the cloned voice, `[T]` at 24 kHz.

    Raises:
        InputError: another sentence or another voice.
    """
    sentence = SENTENCES.get(language)
    if sentence is None:
        known = " and ".join(SENTENCES)
        raise InputError(f"no consent sentence in the language {language!r:.20}; choose {known}")
    seconds = len(recording) / SAMPLE_RATE
    if not _MIN_S <= seconds <= MAX_CONSENT_S:
        raise InputError(
            f"the consent recording lasts {seconds:.1f} s; record this sentence in "
            f"{_MIN_S:g} to {MAX_CONSENT_S:g} s: {sentence}"
        )
    heard = transcribe(recording)
    if _share(sentence, heard) < MIN_WORDS or _NEGATED.search(heard.lower()):
        raise InputError(
            f"the consent recording says {heard or 'nothing'!r:.100}; record this sentence: "
            f"{sentence}"
        )
    likeness = similarity(sample, recording)
    if likeness < MIN_LIKENESS:
        raise InputError(
            f"the consent is not in the sample's voice (similarity {likeness:.2f}, at least "
            f"{MIN_LIKENESS:g} is needed); the person whose voice it is must say the sentence"
        )
    return f"{consent.strip()} (spoken by the same voice, similarity {likeness:.2f}: {sentence})"


def _share(wanted: str, heard: str) -> float:
    """Similarity of two sentences by matching words in order, 0 to 1; Chinese characters count as
    words."""
    words = re.compile(rf"[a-z']+|[{HAN_LETTERS}]")
    first, second = (words.findall(one.lower()) for one in (wanted, heard))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
