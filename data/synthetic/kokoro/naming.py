"""Kokoro's letters as phones: how many letters each phone takes, and its name in IPA."""

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
# Mandarin's stops are told apart by their breath, as the models' symbols are by their voice.
_MANDARIN = {
    "p": "b", "pʰ": "p", "t": "d", "tʰ": "t", "k": "ɡ", "kʰ": "k", "ʦ": "ts", "ʦʰ": "tsʰ",
    "ʨ": "tɕ", "ʨʰ": "tɕʰ", "ꭧ": "tʂ", "ꭧʰ": "tʂʰ", "ɻ": "ʐ", "ɛ": "e", "ʊ": "u", "ɔ": "o",
}  # fmt: skip
_MANDARIN_UNIT = re.compile(r"(ai|au|ou|ei|[aeiouyəɚɛɤɨɔʊ])([→↗↓↘]?)|([ptkʦʨꭧ]ʰ?|[mnŋlfxshɕʂɻjwɥ])")
_MANDARIN_WORD = re.compile(r"[aeiouyəɚɛɤɨɔʊptkʦʨꭧʰmnŋlfxshɕʂɻjwɥ→↗↓↘]+")


def units_of(letters: str, mandarin: bool = False) -> list[tuple[str, int]]:
    """Divides letters into phones, spaces and pauses.

    A stress mark belongs to the vowel after it, a length, a breath and a tone to the sound before.

    Args:
        letters: what Kokoro speaks.
        mandarin: whether words that can be Mandarin are; those with stress or other sounds never.

    Returns:
        (name, number of letters) in order, together all letters. Names are IPA without stress, in
        Mandarin a nucleus with its tone (1 to 5) such as "au3"; or SPACE or PAUSE.
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
        if unit[1] is None:  # marks without a sound: the sound before has them
            before = units.pop() if units else (PAUSE, 0)
            units.append((before[0], before[1] + len(unit[0])))
        else:
            units.append((_ENGLISH.get(unit[1], unit[1]), len(unit[0])))
    return units


def _mandarin_word(word: str) -> list[tuple[str, int]]:
    units, position = [], 0
    for unit in _MANDARIN_UNIT.finditer(word):
        # a tone or a breath that stands alone is passed over with the sound after it
        length = unit.end() - position
        position = unit.end()
        if unit[3]:
            units.append((_MANDARIN.get(unit[3], unit[3]), length))
        else:
            units.append((_MANDARIN.get(unit[1], unit[1]) + _TONES[unit[2]], length))
    if position < len(word) and units:
        units[-1] = (units[-1][0], units[-1][1] + len(word) - position)
    return units or [(PAUSE, len(word))]
