"""The voices of the corpus: synthesizer voices, and changes of their timbre and pitch."""

import random
from dataclasses import dataclass
from functools import cache

NUM_HELD_OUT = 20
_HELD_OUT_SEED = 20_24
_NAMED_SHARE = {
    "flite-kal16": 0.08,
    "flite-awb": 0.08,
    "flite-rms": 0.09,
    "flite-slt": 0.09,
    "festival-ked": 0.015,
    "festival-slt": 0.015,
    "espeak-en-us": 0.015,
    "espeak-en-gb-x-rp+f2": 0.015,
}
_FORMANTS = (0.86, 0.91, 0.95, 1.06, 1.12, 1.19)
_PITCHES = (0.85, 1.0, 1.18)
_ACCENTS = ("en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "en-us-nyc")
_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alicia", "Andrea", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Lee", "Mario"),
    *("Michael", "Mike", "Nguyen", "Reed"),
)


@dataclass(frozen=True)
class CorpusVoice:
    """One voice.

    `base` is what the engine calls it. `formant` scales the vocal tract's resonances (over 1: a
    smaller person), `pitch` the fundamental, each on top of the base. `named` voices are bundled,
    `held_out` ones are never in training.
    """

    id: str
    engine: str
    base: str
    formant: float = 1.0
    pitch: float = 1.0
    named: bool = False
    held_out: bool = False


@cache
def voices() -> dict[str, CorpusVoice]:
    """All voices by id, in a fixed order."""
    made = [_named(key) for key in _NAMED_SHARE]
    for base in ("kal16", "awb", "slt"):
        made += _changed("flite", base, _FORMANTS, _PITCHES)
    made += _changed("festival", "ked", _FORMANTS, (0.9, 1.15))
    made += _changed("festival", "slt", _FORMANTS[1::2], (1.0,))
    for accent in _ACCENTS:
        made += [
            CorpusVoice(f"espeak-{accent}+{v}", "espeak", f"{accent}+{v}") for v in _VARIANTS
        ]
    unique = {voice.id: voice for voice in reversed(made)}  # the named one of two stays
    others = [voice.id for voice in made if not unique[voice.id].named]
    held_out = set(random.Random(_HELD_OUT_SEED).sample(sorted(set(others)), NUM_HELD_OUT))
    return {
        voice.id: CorpusVoice(**{**vars(unique[voice.id]), "held_out": voice.id in held_out})
        for voice in made
    }


def draw_voice(rng: random.Random, split: str, other_than: str | None) -> str:
    """A voice's id: of training, 40 % named ones; of test, the held-out ones and the named flite
    ones, which the judge of words understands best."""
    everything = voices()
    if split == "test":
        pool = [v.id for v in everything.values() if v.held_out or v.id.startswith("flite-")
                and v.named]  # fmt: skip
    elif rng.random() < sum(_NAMED_SHARE.values()):
        pool = rng.choices(list(_NAMED_SHARE), list(_NAMED_SHARE.values()), k=4)
    else:
        pool = [v.id for v in everything.values() if not v.named and not v.held_out]
    choice = rng.choice(pool)
    return choice if choice != other_than else draw_voice(rng, split, other_than)


def _named(key: str) -> CorpusVoice:
    engine, base = key.split("-", 1)
    return CorpusVoice(key, engine, base, named=True)


def _changed(
    engine: str, base: str, formants: tuple[float, ...], pitches: tuple[float, ...]
) -> list[CorpusVoice]:
    return [
        CorpusVoice(f"{engine}-{base}+t{formant}p{pitch}", engine, base, formant, pitch)
        for formant in formants
        for pitch in pitches
    ]
