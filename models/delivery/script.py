"""Converts streamed text with controls to what predictors speak, in order."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from models.delivery.controls import ControlReader, State, Stretch, without_marks
from models.delivery.delivery import PLAIN, Delivery, Plan
from models.delivery.ipa import symbols_of_ipa
from models.delivery.lexicon import Lexicon
from models.predictors.units import Units, pieces_of, units_of
from models.text import Phonemes, SentenceStream, check_scripts, normalise, phonemize, read_as
from models.text.languages.en.say_as import say_as
from models.text.symbols import BOUNDARY, PUNCTUATION, STRESS

MAX_UNITS = 160
_LEADING_MARK = re.compile(r"[\s\"'”’)\]*_]*([,.;:!?…—–])")
_AS_SYMBOL = {"…": ",", "–": " —", "—": " —"}
_PAUSES = " ,.?!;:—"


@dataclass(frozen=True)
class SentencePart:
    """A unit of speech: a sentence, or its part up to a pause.

    Attributes:
        units: the units to speak; None for a pause alone.
        deliveries: one per unit.
        pause_s: silence before it, in seconds.
    """

    units: Units | None
    deliveries: tuple[Delivery, ...] = ()
    pause_s: float = 0.0

    @property
    def plan(self) -> Plan:
        """Offset to the sentence's plan: the mean over its units."""
        count = len(self.deliveries)
        plans = [delivery.plan for delivery in set(self.deliveries)]
        if not any(plan != PLAIN for plan in plans):
            return PLAIN
        each = zip(*(delivery.plan for delivery in self.deliveries), strict=True)
        pitch, range_, level, rate = (sum(values) / count for values in each)
        return pitch, range_, level, rate


class Script:
    """Splits a streamed text into sentences and reads each with its controls.

    Args:
        delivery: delivery of the whole text.
        lexicon: pronunciations.
        languages: languages of the voices.
        strict: invalid controls raise; otherwise they are dropped.
    """

    def __init__(
        self, delivery: Delivery, lexicon: Lexicon, languages: Collection[str], strict: bool
    ) -> None:
        self._delivery, self._lexicon, self._languages = delivery, lexicon, languages
        self._reader = ControlReader(strict)
        self._sentences = SentenceStream(self._reader)

    def push(self, piece: str) -> Iterator[tuple[str, list[SentencePart]]]:
        """Takes a chunk; yields the sentences it completes, as written and as spoken."""
        return self._read(self._sentences.push(piece))

    def flush(self) -> Iterator[tuple[str, list[SentencePart]]]:
        """Yields the rest."""
        return self._read(self._sentences.flush())

    def _read(self, sentences: list[str]) -> Iterator[tuple[str, list[SentencePart]]]:
        for sentence in sentences:
            parts = [*self._parts_of(self._reader.stretches_of(sentence))]
            spoken = any(part.units is not None for part in parts)
            if parts:
                yield without_marks(sentence) if spoken else "", parts

    def _parts_of(self, stretches: list[Stretch]) -> Iterator[SentencePart]:
        """The parts between pauses, split further if too long for a predictor."""
        parts: list[tuple[float, list[Stretch]]] = [(0.0, [])]
        for stretch in stretches:
            if stretch.pause_s:
                parts.append((stretch.pause_s, []))
            parts[-1][1].append(stretch)
        for number, (pause_s, between) in enumerate(parts):
            reading = _Reading(self._delivery, self._lexicon, self._languages)
            for stretch in between:
                reading.add(stretch)
            last = number + 1 == len(parts)
            yield from reading.parts(pause_s, closing="." if last else ",")


@dataclass(frozen=True)
class _WordRun:
    """Normalised words of one delivery. `kind` is "" if they are read as usual; words of an "alias"
    or an "ipa" pronunciation are reported as `written`."""

    words: str
    delivery: Delivery
    kind: str = ""
    written: str = ""
    ipa: str = ""

    @property
    def num_words(self) -> int:
        return sum(word != "—" for word in self.words.split())


class _Reading:
    """Stretches as phonemes, with a delivery per symbol."""

    def __init__(self, delivery: Delivery, lexicon: Lexicon, languages: Collection[str]) -> None:
        self._outer, self._lexicon, self._languages = delivery, lexicon, languages
        self._language = read_as(languages)
        self._runs: list[_WordRun] = []
        self._before = ""  # the last written text

    def add(self, stretch: Stretch) -> None:
        """Appends a stretch."""
        delivery = (self._outer @ stretch.state.delivery).checked()
        for written, said, kind in self._readings(stretch.text, stretch.state):
            plain = written if kind == "ipa" else said
            check_scripts(plain, self._languages, most=0.5)  # tolerates a foreign word or two
            self._marked(written)
            words = normalise(plain, self._language)
            if kind:
                words = words.rstrip(_PAUSES) or ("x" if kind == "ipa" else "")
            if words:
                ipa = said if kind == "ipa" else ""
                self._runs.append(_WordRun(words, delivery, kind, _name(written), ipa))
                self._before = written.rstrip()

    def _readings(self, text: str, state: State) -> list[tuple[str, str, str]]:
        if not text.strip():
            return []
        if state.reading in ("ipa", "alias"):
            return [(text, state.said, state.reading)]
        if state.reading:
            return [(text, say_as(text, state.reading, state.said), "alias")]
        return self._lexicon.divide(text)

    def _marked(self, text: str) -> None:
        """Corrects the end of the last run once text follows in the same sentence."""
        if not self._runs:
            return
        last = self._runs[-1]
        words = last.words
        if words.endswith("."):  # an abbreviation's full stop, else a pause
            is_stop = self._before.endswith(".") and not self._before.endswith("..")
            words = words[:-1] if is_stop else words[:-1] + ","
        mark = _LEADING_MARK.match(text)
        if mark and words[-1] not in _PAUSES:
            words += _AS_SYMBOL.get(mark[1], mark[1])
        self._runs[-1] = replace(last, words=words)

    def parts(self, pause_s: float, closing: str) -> Iterator[SentencePart]:
        """The units read so far, after a pause; `closing` is the final mark if they have none."""
        if not self._runs:
            if pause_s:
                yield SentencePart(None, (), pause_s)
            return
        phonemes, deliveries = self._phonemes()
        if phonemes.symbols[-1] not in PUNCTUATION:
            phonemes.symbols.append(closing)
            deliveries.append(deliveries[-1])
        units = units_of(phonemes)
        each = [
            delivery
            for symbol, delivery in zip(phonemes.symbols, deliveries, strict=True)
            if symbol != BOUNDARY and symbol not in STRESS  # not units
        ]
        assert len(each) == len(units)
        start = 0
        for piece in pieces_of(units, MAX_UNITS):
            # Every piece starts with the language mark; the first already has it.
            inner = each[start + 1 : start + len(piece)]
            start += len(piece) - 1
            yield SentencePart(piece, (inner[0], *inner), pause_s)
            pause_s = 0.0

    def _phonemes(self) -> tuple[Phonemes, list[Delivery]]:
        """Phonemizes all runs together, as words sound different at the end of a text; returns the
        delivery of each symbol too."""
        whole = self._phones(" ".join(run.words for run in self._runs))
        if sum(run.num_words for run in self._runs) == len(whole.words):
            return self._divided(whole)
        if len(self._runs) == 1 and not self._runs[0].kind:
            return _copied(whole), [self._runs[0].delivery] * len(whole.symbols)
        found = Phonemes(whole.symbols[:1], [])
        deliveries = [self._runs[0].delivery]
        for run in self._runs:
            alone = self._phones(run.words)
            if len(found.symbols) > 1 and alone.symbols[1:2] != []:
                found.symbols.append(BOUNDARY)
            _add(found, run, alone, 1, len(alone.symbols), 0, len(alone.words))
            deliveries.extend([run.delivery] * (len(found.symbols) - len(deliveries)))
        return found, deliveries

    def _phones(self, words: str) -> Phonemes:
        return phonemize([words], self._language)[0]

    def _divided(self, whole: Phonemes) -> tuple[Phonemes, list[Delivery]]:
        found = Phonemes(whole.symbols[:1], [])
        deliveries = [self._runs[0].delivery]
        word = 0
        for run in self._runs:
            end = word + run.num_words
            last = len(whole.symbols) if end == len(whole.words) else whole.words[end][1]
            _add(found, run, whole, whole.words[word][1], last, word, end)
            deliveries.extend([run.delivery] * (len(found.symbols) - len(deliveries)))
            word = end
        return found, deliveries


def _add(
    found: Phonemes, run: _WordRun, read: Phonemes, first: int, last: int, word: int, end: int
) -> None:
    """Appends symbols `first` to `last` and words `word` to `end` of a run."""
    start = len(found.symbols)
    if not run.kind:
        found.symbols.extend(read.symbols[first:last])
        offset = start - first
        found.words.extend((w, a + offset, b + offset) for w, a, b in read.words[word:end])
        return
    spoken = read.words[end - 1][2] if end > word else last
    said = symbols_of_ipa(run.ipa) if run.kind == "ipa" else read.symbols[first:spoken]
    found.symbols.extend(said)
    if run.written and said:
        found.words.append((run.written, start, len(found.symbols)))
    found.symbols.extend(read.symbols[spoken:last])


def _copied(phonemes: Phonemes) -> Phonemes:
    return Phonemes(list(phonemes.symbols), list(phonemes.words))


def _name(written: str) -> str:
    return " ".join(written.split()).strip(" ,.;:!?…—–\"'()")
