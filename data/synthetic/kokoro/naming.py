"""Maps the letters of Kokoro's alphabet to phones with IPA names."""

import re

from data.synthetic.phones import PAUSE

SPACE = " "
_PAUSES = ';:,.!?—…"()“”'
# Letters for two sounds -> IPA.
_ENGLISH = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ",
    "T": "ɾ", "ᵊ": "ə",
}  # fmt: skip
_ENGLISH_UNIT = re.compile(r"[ˈˌ]*([^ˈˌːʰʲ])[ːʰʲ]*|[ˈˌːʰʲ]+")
_TONES = {"→": "1", "↗": "2", "↓": "3", "↘": "4", "": "5"}
# Mandarin stops differ in aspiration, which the models' symbols represent as voicing.
_MANDARIN = {
    "p": "b", "pʰ": "p", "t": "d", "tʰ": "t", "k": "ɡ", "kʰ": "k", "ʦ": "ts", "ʦʰ": "tsʰ",
    "ʨ": "tɕ", "ʨʰ": "tɕʰ", "ꭧ": "tʂ", "ꭧʰ": "tʂʰ", "ɻ": "ʐ", "ɛ": "e", "ʊ": "u", "ɔ": "o",
}  # fmt: skip
_MANDARIN_UNIT = re.compile(r"(ai|au|ou|ei|[aeiouyəɚɛɤɨɔʊ])([→↗↓↘]?)|([ptkʦʨꭧ]ʰ?|[mnŋlfxshɕʂɻjwɥ])")
_MANDARIN_WORD = re.compile(r"[aeiouyəɚɛɤɨɔʊptkʦʨꭧʰmnŋlfxshɕʂɻjwɥ→↗↓↘]+")


def units_of(letters: str, mandarin: bool = False) -> list[tuple[str, int]]:
    """Divides letters into phones, spaces and pauses.

    A stress mark belongs to the following vowel; length, aspiration and tone marks to the preceding
    sound.

    Args:
        letters: text in Kokoro's alphabet.
        mandarin: whether to read words as Mandarin, unless they have stress or non-Mandarin sounds.

    Returns:
        (name, number of letters) in order, covering all letters. Names are IPA without stress, for
        Mandarin vowels with the tone (1 to 5) as in "au3", or SPACE or PAUSE.
    """
    found: list[tuple[str, int]] = []
    for part in re.findall(rf" |[{re.escape(_PAUSES)}]|[^ {re.escape(_PAUSES)}]+", letters):
        if part == SPACE:
            found.append((SPACE, 1))
        elif part in _PAUSES:
            found.append((PAUSE, 1))
        elif mandarin and _MANDARIN_WORD.fullmatch(part):
            found += _mandarin_word(part)
        else:
            found += _english_word(part)
    return found


def _english_word(word: str) -> list[tuple[str, int]]:
    units: list[tuple[str, int]] = []
    for unit in _ENGLISH_UNIT.finditer(word):
        if unit[1] is None:  # marks belong to the preceding sound
            before = units.pop() if units else (PAUSE, 0)
            units.append((before[0], before[1] + len(unit[0])))
        else:
            units.append((_ENGLISH.get(unit[1], unit[1]), len(unit[0])))
    return units


def _mandarin_word(word: str) -> list[tuple[str, int]]:
    units, position = [], 0
    for unit in _MANDARIN_UNIT.finditer(word):
        # an isolated tone or aspiration mark is merged with the following sound
        length = unit.end() - position
        position = unit.end()
        if unit[3]:
            units.append((_MANDARIN.get(unit[3], unit[3]), length))
        else:
            units.append((_MANDARIN.get(unit[1], unit[1]) + _TONES[unit[2]], length))
    if position < len(word) and units:
        units[-1] = (units[-1][0], units[-1][1] + len(word) - position)
    return units or [(PAUSE, len(word))]
