"""The recipe of a corpus, and the plan of each dialogue: text, voices, styles.

Dialogue n is determined by the recipe and n alone, so a corpus can grow, resume and run in parallel
without changing.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from data.errors import InputError
from data.languages import LANGUAGES
from data.synthetic.grammar import Line, write_dialogue
from data.synthetic.kokoro.voices import KokoroVoice, kokoro_voices
from data.synthetic.splits import SPLITS
from data.synthetic.texts import read_texts, spoken_pieces
from data.synthetic.voices import draw_pair

ENGINES = ("all", "teacher", "classic")
CASTS = ("all", "base", "held-out")
_SEED_RANGE = 1 << 62
_SEED_OFFSETS = {"train": 0, "test": _SEED_RANGE, "validation": 2 * _SEED_RANGE}
_EVERY = 5
"""One in five dialogues uses the classic synthesizers, and one in five of Kokoro's is Mandarin."""

_BASE_SHARE = 0.35
_ABROAD_SHARE = {"en": 0.08, "zh": 0.35}
"""Of the dialogues of a language, those between voices that are at home in the other."""

_MOST_REFUSED = 50


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a corpus.

    Attributes:
        seed: random seed.
        split: one of SPLITS; determines texts and voices.
        engines: `teacher` (Kokoro), `classic` (flite, festival and espeak-ng), or `all`: one fifth
            of the dialogues by the classic ones.
        cast: `base`: only Kokoro's own voices, equally often; `held-out`: only voices of the test
            split, equally often.
        texts: files of dialogue texts; without them the grammar generates.
    """

    seed: int
    split: str = "train"
    engines: str = "classic"
    cast: str = "all"
    texts: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InputError if a field is invalid."""
        for option, value, known in (
            ("--split", self.split, SPLITS),
            ("--engines", self.engines, ENGINES),
            ("--cast", self.cast, CASTS),
        ):
            if value not in known:
                raise InputError(f"{option} is {value!r}; choose one of {', '.join(known)}")
        if self.cast == "held-out" and (self.split, self.engines) != ("test", "teacher"):
            raise InputError("--cast held-out needs --split test --engines teacher")
        if self.texts:
            for language, pieces in _pieces(self.texts, self.split).items():
                if not pieces:
                    raise InputError(
                        f"{', '.join(self.texts)} hold no {language} dialogue of the split "
                        f"{self.split} that can be spoken; give more texts"
                    )

    def summary(self) -> dict:
        """The fields for corpus.json; files of texts by their hashes."""
        hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] for path in self.texts]
        return {**asdict(self), "texts": hashes}

    @property
    def languages(self) -> tuple[str, ...]:
        """What is spoken: of the texts, else of the grammar; the classic engines know English."""
        if self.engines == "classic":
            return ("en",)
        return tuple(_pieces(self.texts, self.split)) if self.texts else LANGUAGES


@dataclass(frozen=True)
class Script:
    """The text of a dialogue and its source."""

    language: str
    source: str
    lines: tuple[Line, ...]


def dialogue_seed(recipe: Recipe, index: int) -> int:
    """The seed of one dialogue. Each split has its own range of 2^62 seeds, train the lowest."""
    digest = hashlib.sha256(f"{recipe.split} {recipe.seed} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEED_RANGE + _SEED_OFFSETS[recipe.split]


def is_classic(recipe: Recipe, index: int) -> bool:
    """Whether a dialogue is spoken by flite, festival or espeak-ng."""
    return recipe.engines == "classic" or (recipe.engines == "all" and index % _EVERY == 0)


def scripts(recipe: Recipe, index: int) -> Iterator[Script]:
    """Candidate texts of a dialogue; later ones are used if earlier ones cannot be spoken."""
    seed = dialogue_seed(recipe, index)
    language, number = _language(recipe, index)
    if not recipe.texts:
        words = random.Random(f"words {seed}")
        for _ in range(_MOST_REFUSED):
            topic, lines = write_dialogue(words, recipe.split, language)
            yield Script(language, topic, tuple(lines))
        return
    pieces = _pieces(recipe.texts, recipe.split)[language]
    for attempt in range(_MOST_REFUSED):
        place = (number + attempt * 7919) % len(pieces)
        piece = pieces[_order(recipe, language, len(pieces))[place]]
        yield Script(language, piece.id, piece.lines)


def cast_of(recipe: Recipe, index: int, language: str, rng: random.Random) -> tuple:
    """The two voices of a dialogue, different ones."""
    if is_classic(recipe, index):
        return draw_pair(rng, recipe.split)
    if recipe.cast == "all" and rng.random() < _ABROAD_SHARE[language]:
        language = "en" if language == "zh" else "zh"  # cross-lingual voices
    known = [voice for voice in kokoro_voices().values() if voice.language == language]
    held_out = [voice for voice in known if voice.held_out]
    trained = [voice for voice in known if not voice.held_out]
    bases = [voice for voice in trained if voice.base]
    if recipe.cast == "held-out":
        return _in_turn(recipe, _language(recipe, index)[1], held_out)
    if recipe.split == "test":
        return _two(lambda: rng.choice(held_out if rng.random() < 0.5 else bases))
    if recipe.cast == "base":
        return _in_turn(recipe, _language(recipe, index)[1], bases)
    derived = [voice for voice in trained if not voice.base]
    return _two(lambda: rng.choice(bases if rng.random() < _BASE_SHARE else derived))


def _language(recipe: Recipe, index: int) -> tuple[str, int]:
    """A dialogue's language, and how many of that language are before it."""
    if len(recipe.languages) == 1:
        return recipe.languages[0], index
    earlier = sum(_is_mandarin(recipe, number) for number in range(index % (_EVERY * _EVERY)))
    rounds = index // (_EVERY * _EVERY)
    per_round = sum(_is_mandarin(recipe, number) for number in range(_EVERY * _EVERY))
    num_mandarin = rounds * per_round + earlier
    return ("zh", num_mandarin) if _is_mandarin(recipe, index) else ("en", index - num_mandarin)


def _is_mandarin(recipe: Recipe, index: int) -> bool:
    """Repeats after 25 dialogues."""
    if is_classic(recipe, index):
        return False
    by_teacher = index if recipe.engines == "teacher" else index - index // _EVERY - 1
    return by_teacher % _EVERY == _EVERY - 1


@cache
def _pieces(texts: tuple[str, ...], split: str) -> dict[str, list]:
    dialogues = list(read_texts(texts))
    languages = sorted({dialogue.language for dialogue in dialogues})
    return {
        language: spoken_pieces((d for d in dialogues if d.language == language), split)
        for language in languages
    }


@cache
def _order(recipe: Recipe, language: str, count: int) -> list[int]:
    return random.Random(f"texts {recipe.seed} {language}").sample(range(count), count)


def _two(draw) -> tuple[KokoroVoice, KokoroVoice]:
    first, second = draw(), draw()
    while second.id == first.id:
        second = draw()
    return first, second


def _in_turn(
    recipe: Recipe, number: int, voices: list[KokoroVoice]
) -> tuple[KokoroVoice, KokoroVoice]:
    """Pairs of voices from consecutive random permutations of all voices."""

    def at(position: int) -> KokoroVoice:
        turn, place = divmod(position, len(voices))
        order = random.Random(f"cast {recipe.seed} {turn}").sample(voices, len(voices))
        return order[place]

    first, second = at(2 * number), at(2 * number + 1)
    return (first, second) if first.id != second.id else (first, at(2 * number + 2))
