"""Kokoro as a synthesis engine of the corpus: texts in a voice and manner, with phone times."""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.synthetic.kokoro.generator import FRAME_SAMPLES
from data.synthetic.kokoro.model import Kokoro, Rendering, Request
from data.synthetic.kokoro.phonemes import is_mandarin, phonemes
from data.synthetic.kokoro.store import Store, default_store
from data.synthetic.kokoro.timing import LEAD_S, phones_of
from data.synthetic.kokoro.voices import KokoroVoice, Shares
from data.synthetic.manner import Manner
from data.synthetic.phones import Phone, Spoken, scaled

_log = logging.getLogger(__name__)
MOST_PHONES = 400
"""Longer texts are synthesised in pieces; the model accepts 510 but was trained on fewer."""

_SPEED_LIMITS = (0.5, 2.0)
_NUM_ROWS = 510
_DASH = "—"
_VOWEL = re.compile("[AIOQWYaeiouæɑɐɒəɚɛɜɤɨɪɔøœʊʌᵊᵻy]")
_HELD_FRAMES = 8  # 200 ms, which about doubles a vowel before a hesitation
_FADE = SAMPLE_RATE // 50


@dataclass(frozen=True)
class Delivery:
    """One line to synthesise.

    Attributes:
        voice: the voice.
        text: the text, with numbers as words.
        manner: the delivery.
        seed: random seed of the noise.
        pause_s: length of the hesitation at each dash in the text, before which the syllable is
            lengthened; None leaves dashes to the model.
    """

    voice: KokoroVoice
    text: str
    manner: Manner
    seed: int = 0
    pause_s: float | None = None


class Teacher:
    """Kokoro with its voices.

    Args:
        network: the network, on its device.
        vocabulary: ids of the characters of its phone alphabet.
        store: the folder with its voices.
        batch: utterances per batch.
    """

    def __init__(
        self, network: Kokoro, vocabulary: dict[str, int], store: Store, batch: int = 1
    ) -> None:
        self._network, self._vocabulary, self._store = network, vocabulary, store
        self._batch = batch
        self._tables: dict[str, np.ndarray] = {}

    def speak(self, lines: Sequence[Delivery]) -> list[Spoken]:
        """Synthesises lines, in order, without normalising levels or trimming silence.

        The sample rate to play at is `formant` times that of the model.

        Raises:
            InputError: a line has nothing to speak, or digits.
            MissingModelError: the voices are missing.
        """
        pieces: list[tuple[int, str]] = []
        for index, line in enumerate(lines):
            pieces += [(index, piece) for piece in self._letters(line)]
        order = sorted(
            range(len(pieces)), key=lambda i: len(pieces[i][1])
        )  # sorted by length, for little padding
        rendered: dict[int, Rendering] = {}
        for start in range(0, len(order), self._batch):
            some = order[start : start + self._batch]
            requests = [self._request(lines[pieces[i][0]], pieces[i][1], i) for i in some]
            rendered |= dict(zip(some, self._network.speak(requests), strict=True))
        spoken = [
            [(letters, rendered[i]) for i, (owner, letters) in enumerate(pieces) if owner == index]
            for index in range(len(lines))
        ]
        return [_joined(parts, line) for parts, line in zip(spoken, lines, strict=True)]

    def _letters(self, line: Delivery) -> list[str]:
        """A line's phones, in pieces of acceptable length."""
        read = phonemes(line.text, line.voice.accent)
        unknown = {letter for letter in read if letter not in self._vocabulary}
        if unknown:
            _log.warning("no phones for %s in %r", "".join(sorted(unknown)), line.text)
        letters = re.sub(r"\s+", " ", "".join(c for c in read if c in self._vocabulary)).strip()
        if not re.search(r"\w", letters):
            raise InputError(f"there is nothing to speak in {line.text!r:.60}; give words")
        return pieces_of(letters, MOST_PHONES)

    def _request(self, line: Delivery, letters: str, piece: int) -> Request:
        formant, manner = line.voice.formant, line.manner
        digest = hashlib.sha256(f"{line.seed} {line.voice.id} {letters} {piece}".encode())
        return Request(
            [self._vocabulary[letter] for letter in letters],
            self._style(line, len(letters)),
            f0=manner.pitch / formant,
            span=manner.pitch_range,
            speed=float(np.clip(manner.rate / formant, *_SPEED_LIMITS)),
            seed=int.from_bytes(digest.digest()[:4], "big"),
            added=() if line.pause_s is None else held(letters),
        )

    def _style(self, line: Delivery, num_phones: int) -> np.ndarray:
        voice = line.voice
        row = min(max(num_phones, 1), _NUM_ROWS) - 1
        half = self._network.config.style_dim
        at_home = is_mandarin(line.text) == (voice.language == "zh")
        sounds = self._mean(voice.sounds, row)
        speaks = self._mean(voice.speaks if at_home else voice.abroad, row)
        return np.concatenate([sounds[:half], speaks[half:]])

    def _mean(self, shares: Shares, row: int) -> np.ndarray:
        for name, _ in shares:
            if name not in self._tables:
                self._tables[name] = self._store.voice(name)
        total = sum(share for _, share in shares)
        rows = [self._tables[name][row] * (share / total) for name, share in shares]
        return np.stack(rows).sum(0)


def pieces_of(letters: str, most: int) -> list[str]:
    """Cuts phones at sentence ends, else commas, else spaces, into pieces of at most `most`."""
    pieces = []
    while len(letters) > most:
        window = letters[:most]
        cut = max((window.rfind(mark) + 1 for mark in (". ", "! ", "? ")), default=0)
        cut = cut or window.rfind(", ") + 1 or window.rfind(" ") + 1 or most
        pieces.append(letters[:cut].strip())
        letters = letters[cut:].strip()
    return [*pieces, letters] if letters else pieces


def held(letters: str) -> list[int]:
    """Frames to add to each phone, which lengthen the last vowel before a dash."""
    added = [0] * len(letters)
    for dash in re.finditer(_DASH, letters):
        vowels = [vowel.start() for vowel in _VOWEL.finditer(letters, 0, dash.start())]
        if vowels:
            added[vowels[-1]] = _HELD_FRAMES
    return added


def paused(letters: str, rendering: Rendering, pause_s: float) -> Rendering:
    """Inserts a silence of `pause_s` seconds at each dash, at the quietest point."""
    samples, durations = rendering.samples, rendering.durations.copy()
    num_frames = round(pause_s * SAMPLE_RATE / FRAME_SAMPLES)
    for dash in reversed([found.start() for found in re.finditer(_DASH, letters)]):
        first, end = durations[: dash + 1].sum(), durations[: dash + 2].sum()
        lead = round(LEAD_S * SAMPLE_RATE)
        place = _quietest(samples, first * FRAME_SAMPLES - lead, end * FRAME_SAMPLES - lead)
        before, after = samples[:place].copy(), samples[place:].copy()
        before[-_FADE:] *= np.linspace(1, 0, len(before[-_FADE:]), dtype=np.float32)
        after[:_FADE] *= np.linspace(0, 1, len(after[:_FADE]), dtype=np.float32)
        silence = np.zeros(num_frames * FRAME_SAMPLES, np.float32)
        samples = np.concatenate([before, silence, after])
        durations[dash + 1] += num_frames
    return Rendering(samples, durations, rendering.f0)


def _quietest(samples: np.ndarray, first: int, end: int) -> int:
    """The middle of the quietest 10 ms between two samples."""
    window = SAMPLE_RATE // 100
    places = np.arange(max(first, window), max(end, first + 1, window + 1), window // 4)
    levels = [np.square(samples[at - window // 2 : at + window // 2]).sum() for at in places]
    return int(places[int(np.argmin(levels))])


@cache
def teacher(device: str = "cpu", batch: int = 1) -> Teacher:
    """The teacher from the user's cache, loaded once per process. Raises MissingModelError."""
    store = default_store()
    return Teacher(store.network(device), store.vocabulary(), store, batch)


def _joined(parts: list[tuple[str, Rendering]], line: Delivery) -> Spoken:
    """Joins the pieces of a line, at their playback sample rate."""
    phones: list[Phone] = []
    offset = 0.0
    mandarin = is_mandarin(line.text)
    if line.pause_s is not None:
        parts = [(letters, paused(letters, one, line.pause_s)) for letters, one in parts]
    for letters, rendering in parts:
        found = phones_of(letters, rendering.durations, rendering.samples, mandarin)
        phones += [(name, start + offset, end + offset) for name, start, end in found]
        offset += rendering.samples.shape[0] / SAMPLE_RATE
    samples = np.concatenate([rendering.samples for _, rendering in parts])
    formant = line.voice.formant
    return Spoken(samples, SAMPLE_RATE * formant, scaled(phones, 1 / formant))
