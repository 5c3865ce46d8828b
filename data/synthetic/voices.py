"""The voices of the synthetic corpus: synthesizer voices combined with timbres.

There are two kinds of timbre. `formant`: speech is synthesized slower and lower by a factor and
played back faster by the same factor, which scales the formants (the apparent size of the speaker)
without vocoder artefacts. `colour`: WORLD warps the frequency axis, tilts the spectrum and adds
breath.
"""

import random
from dataclasses import dataclass
from functools import cache

from data.synthetic import festival, flite

NUM_HELD_OUT = 20
_HELD_OUT_SEED = 20_24


@dataclass(frozen=True)
class Colour:
    """A timbre by WORLD: frequency warping, spectral tilt in dB at the top, breathiness 0 to 1."""

    bend: float
    tilt_db: float
    breath: float


@dataclass(frozen=True)
class CorpusVoice:
    """One voice.

    Attributes:
        id: its name in the corpus.
        synthesizer: flite, festival or espeak-ng.
        base: the synthesizer's name of the voice.
        formant, pitch: factors on formants and F0 of the base voice.
        colour: a timbre by WORLD, or None.
        weight: its share of the turns in the train split.
        named: whether it is one of the well-known base voices.
        held_out: whether it occurs in the test split only.
    """

    id: str
    synthesizer: str
    base: str
    formant: float = 1.0
    pitch: float = 1.0
    colour: Colour | None = None
    weight: float = 0.0
    named: bool = False
    held_out: bool = False

    @property
    def ignores_pitch(self) -> bool:
        """Whether the synthesizer cannot change this voice's F0, so that WORLD has to."""
        return self.base in flite.IGNORES_PITCH or self.base in festival.IGNORES_PITCH


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
# espeak-ng's variants, except whisper and those with an unnatural pitch
_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alicia", "Andrea", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Lee", "Mario"),
    *("Michael", "Mike", "Nguyen", "Reed"),
)
# further variants, each with one accent and one size
_SINGLE_VARIANTS = (
    *("klatt3", "klatt4", "klatt6", "Alex", "anika", "aunty", "belinda", "boris", "david", "ed"),
    *("grandma", "grandpa", "gustave", "Hugo", "ian", "iven3", "john", "linda", "miguel"),
    *("norbert", "pablo", "pedro", "robert", "sandro", "shelby", "steph", "Storm", "victor"),
    *("antonio", "max", "michel"),
)
_COLOURS = (
    Colour(bend=0.16, tilt_db=-6.0, breath=0.0),
    Colour(bend=-0.14, tilt_db=4.0, breath=0.25),
    Colour(bend=0.08, tilt_db=5.0, breath=0.4),
    Colour(bend=-0.08, tilt_db=-8.0, breath=0.15),
)
_FESTIVAL = {"ked": "ked_diphone", "slt": "cmu_us_slt_arctic_hts"}

_Entry = tuple[str, str, str, float, float, Colour | None]


@cache
def voices() -> dict[str, CorpusVoice]:
    """All voices by id, in a reproducible order."""
    sized = [*map(_named, _NAMED_SHARE), *_sized(), *_accented()]
    entries = {entry[0]: entry for entry in [*sized, *_single_variants(), *_coloured()]}
    candidates = sorted({entry[0] for entry in sized} - _NAMED_SHARE.keys())
    held_out = set(random.Random(_HELD_OUT_SEED).sample(candidates, NUM_HELD_OUT))
    num_others = len(entries) - len(_NAMED_SHARE) - NUM_HELD_OUT
    share = (1 - sum(_NAMED_SHARE.values())) / num_others
    return {
        id: CorpusVoice(
            *entry,
            weight=0.0 if id in held_out else _NAMED_SHARE.get(id, share),
            named=id in _NAMED_SHARE,
            held_out=id in held_out,
        )
        for id, entry in entries.items()
    }


def draw_pair(rng: random.Random, split: str) -> tuple[CorpusVoice, CorpusVoice]:
    """Draws two different voices for a dialogue.

    Train: by weight, without held-out voices. Test: half held-out voices, half named ones.
    """
    everything = list(voices().values())
    held_out = [voice for voice in everything if voice.held_out]
    named = [voice for voice in everything if voice.named]

    def draw() -> CorpusVoice:
        if split == "test":
            return rng.choice(held_out if rng.random() < 0.5 else named)
        return rng.choices(everything, [voice.weight for voice in everything])[0]

    first, second = draw(), draw()
    while second.id == first.id:
        second = draw()
    return first, second


def _named(id: str) -> _Entry:
    kind, base = id.split("-", 1)
    if kind == "espeak":
        return id, "espeak-ng", base, 1.0, 1.0, None
    return id, kind, _FESTIVAL[base] if kind == "festival" else base, 1.0, 1.0, None


def _sized() -> list[_Entry]:
    """Recorded voices in several sizes and pitches; larger speakers also have a lower pitch."""
    return [
        (f"{id}+t{formant}p{pitch}", *_named(id)[1:3], formant, pitch * formant**0.5, None)
        for id, formants, pitches in (
            ("flite-kal16", _FORMANTS, _PITCHES),
            ("flite-awb", _FORMANTS, _PITCHES),
            ("flite-slt", _FORMANTS, _PITCHES),
            ("festival-ked", _FORMANTS, (0.9, 1.15)),
            ("festival-slt", _FORMANTS[1::2], (1.0,)),
        )
        for formant in formants
        for pitch in pitches
    ]


def _accented() -> list[_Entry]:
    return [
        (f"espeak-{accent}+{variant}", "espeak-ng", f"{accent}+{variant}", 1.0, 1.0, None)
        for accent in _ACCENTS
        for variant in _VARIANTS
    ]


def _single_variants() -> list[_Entry]:
    entries: list[_Entry] = []
    for index, variant in enumerate(_SINGLE_VARIANTS):
        base = f"{_ACCENTS[index % len(_ACCENTS)]}+{variant}"
        formant, pitch = _FORMANTS[(index * 5 + 1) % len(_FORMANTS)], _PITCHES[index % 3]
        id = f"espeak-{base}+t{formant}p{pitch}"
        entries.append((id, "espeak-ng", base, formant, pitch * formant**0.5, None))
    return entries


def _coloured() -> list[_Entry]:
    pitches = (0.9, 1.1, 1.2, 0.8)
    return [
        (f"{id}+w{j}", *_named(id)[1:3], 1.0, pitches[(i + j) % 4], colour)
        for i, id in enumerate(("flite-awb", "flite-slt", "flite-rms", "festival-ked"))
        for j, colour in enumerate(_COLOURS)
    ]
