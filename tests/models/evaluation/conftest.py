"""A teacher that every machine has: espeak-ng, installed as a wheel."""

from collections.abc import Iterator

import pytest

from data.synthetic import VOICES
from models.evaluation import sets

# The recogniser transcribes these two more accurately than most espeak-ng voices.
CLEAR, CLEAR_WOMAN = "espeak-en-us+m6", "espeak-en-gb-x-rp+f5"
ESPEAK = {CLEAR: "kal", CLEAR_WOMAN: "slt", "espeak-en-029+m3": "rms"}


@pytest.fixture(scope="module")
def espeak_teacher() -> Iterator[None]:
    """Restricts judged and held-out voices to espeak-ng's during a module's tests."""
    with pytest.MonkeyPatch.context() as patch:
        spoken = {name: v for name, v in VOICES.items() if v.synthesizer == "espeak-ng"}
        patch.setattr(sets, "VOICES", spoken)
        for name in list(sets.JUDGED_VOICES):
            patch.delitem(sets.JUDGED_VOICES, name)
        for name, bundled in ESPEAK.items():
            patch.setitem(sets.JUDGED_VOICES, name, bundled)
        yield
