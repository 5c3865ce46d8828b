"""Pronunciation lexicon: overrides the frontend for given words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.errors import InputError
from data.text import unprintable, valid_text
from models.delivery.ipa import symbols_of_ipa

MAX_ENTRIES, MAX_WORD, MAX_SAID = 2000, 60, 200
_SLASHES = re.compile(r"/([^/]+)/|\[([^\[\]]+)\]")


@dataclass(frozen=True)
class Lexicon:
    """Entries (word, pronunciation): IPA between slashes, anything else is a respelling.

    Lower-case entries match in any case, others exactly; both match with a possessive 's. Later
    entries for the same word win.
    """

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, object]) -> "Lexicon":
        """Validates {word: pronunciation} and builds a lexicon.

        Raises:
            InputError: too many or too long entries, or an unreadable pronunciation.
        """
        if len(given) > MAX_ENTRIES:
            raise InputError(f"the lexicon has {len(given)} entries; at most {MAX_ENTRIES}")
        return cls(tuple((_word(word), _pronunciation(word, said)) for word, said in given.items()))

    def __or__(self, other: "Lexicon") -> "Lexicon":
        """Merges another lexicon, whose entries take precedence."""
        return Lexicon(self.entries + other.entries) if other.entries else self

    @cached_property
    def _said(self) -> dict[str, str]:
        return dict(self.entries)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not self.entries:
            return None
        words = sorted(self._said, key=len, reverse=True)
        alternatives = "|".join(
            re.escape(word) if word != word.lower() else f"(?i:{re.escape(word)})" for word in words
        )
        return re.compile(rf"(?<!\w)(?P<word>{alternatives})(?P<suffix>['’]s)?(?!\w)")

    def divide(self, text: str) -> list[tuple[str, str, str]]:
        """Splits a text at the words of the lexicon.

        Returns:
            (written, said, kind) in order: kind is "" for text read as usual, "ipa" or "alias";
            `said` includes the possessive of a respelling.
        """
        if self._pattern is None:
            return [(text, text, "")]
        found, position = [], 0
        for match in self._pattern.finditer(text):
            if match.start() > position:
                before = text[position : match.start()]
                found.append((before, before, ""))
            said = self._said.get(match["word"]) or self._said[match["word"].lower()]
            ipa = _SLASHES.fullmatch(said)
            suffix = match["suffix"] or ""
            if ipa:
                found.append((match[0], (ipa[1] or ipa[2]) + _possessive(said, suffix), "ipa"))
            else:
                found.append((match[0], said + suffix, "alias"))
            position = match.end()
        rest = text[position:]
        return [*found, (rest, rest, "")] if rest else found


NO_LEXICON = Lexicon()


def read_lexicon(path: Path) -> Lexicon:
    """Reads a JSON object {word: pronunciation}.

    Raises:
        InputError: it is not one, or an entry is invalid.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"the lexicon {path} does not exist") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"the lexicon {path} is not JSON in UTF-8 ({error})") from None
    if not isinstance(given, dict):
        raise InputError(f'the lexicon {path} must be an object: {{"Nguyen": "win"}}')
    return Lexicon.of(given)


def _word(word: str) -> str:
    word = valid_text(word).strip()
    if not 0 < len(word) <= MAX_WORD or unprintable(word, allowed=""):
        raise InputError(f"the lexicon has the word {word!r:.80}; give 1 to {MAX_WORD} signs")
    if not word[0].isalnum():
        raise InputError(f"the lexicon has the word {word!r:.80}; it must begin with a letter")
    return word


def _pronunciation(word: str, said: object) -> str:
    if not isinstance(said, str) or not said.strip() or len(said) > MAX_SAID:
        raise InputError(
            f"the lexicon's entry for {word!r:.60} is {said!r:.60}; give a respelling, or IPA "
            f"between slashes, of 1 to {MAX_SAID} signs"
        )
    said = valid_text(said).strip()
    if ipa := _SLASHES.fullmatch(said):
        try:
            symbols_of_ipa(ipa[1] or ipa[2])
        except InputError as error:
            raise InputError(f"the lexicon's entry for {word!r:.60}: {error}") from None
    return said


def _possessive(said: str, suffix: str) -> str:
    """The sound of a possessive 's after a pronunciation."""
    if not suffix:
        return ""
    last = symbols_of_ipa(said)[-1]
    if last in ("s", "z", "ʃ", "ʒ", "tʃ", "dʒ"):
        return "ᵻz"
    return "s" if last in ("p", "t", "k", "f", "θ") else "z"
