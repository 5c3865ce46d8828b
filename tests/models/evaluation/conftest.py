"""A teacher for the instruments that every machine has: espeak-ng, which comes as a wheel."""

from collections.abc import Iterator

import pytest

from data.synthetic import VOICES
from models.evaluation import sets

# The recogniser understands the first two of these better than most of espeak-ng's.
CLEAR, CLEAR_WOMAN = "espeak-en-us+m6", "espeak-en-gb-x-rp+f5"
ESPEAK = {CLEAR: "kal", CLEAR_WOMAN: "slt", "espeak-en-029+m3": "rms"}


@pytest.fixture(scope="module")
def espeak_teacher() -> Iterator[None]:
    """Judged and held-out voices are espeak-ng's alone while a module's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        spoken = {name: v for name, v in VOICES.items() if v.synthesizer == "espeak-ng"}
        patch.setattr(sets, "VOICES", spoken)
        for name in list(sets.JUDGED_VOICES):
            patch.delitem(sets.JUDGED_VOICES, name)
        for name, bundled in ESPEAK.items():
            patch.setitem(sets.JUDGED_VOICES, name, bundled)
        yield
