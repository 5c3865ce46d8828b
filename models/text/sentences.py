"""Splits text into sentences, at once or as a stream, with identical results."""

import re
from typing import Protocol

from data.text import HAN_LETTERS
from models.text.languages.en.dates import ENDS_A_DATE, MONTH
from models.text.languages.en.letters import (
    ABBREVIATIONS,
    MONTHS,
    NEED_A_NUMBER,
    STOPPED_UNITS,
    TITLES,
)
from models.text.thoughts import ThoughtFilter

LONGEST_SENTENCE = 300
"""Characters; a longer sentence is divided at a pause, or failing that between two words. A Chinese
character takes as long to say as `_HAN_LENGTH` letters and counts as many."""
_HAN_LENGTH = 5

MARKS = "\ue000-\uf8ff"
"""Private characters that stand for controls (`models.delivery`): no letters, and no words."""

_END = re.compile(rf"[.!?…。！？]+[\"'”’)\]*_{MARKS}]*|\n")
_MARKS = re.compile(f"[{MARKS}]+")
_BLANK = re.compile(rf"[\s{MARKS}]*")
_HAN = re.compile(f"[{HAN_LETTERS}]")
_LINE_START = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s|#{1,6}\s|[>|]")
_LINE_START_SO_FAR = re.compile(r"[-*+•]|\d{1,3}[.)]?|#{1,6}")
_FENCE = re.compile("```|~~~")
# After these a capital starts a new sentence ("at 5 p.m. Then"); after other dotted letters and
# initials it is a name ("J. R. Smith").
_MAY_END = frozenset(
    ("a.m", "p.m", "u.s", "u.k", "d.c", "etc", "inc", "ltd", "co", "corp", "jr", "sr")
)
# After these only typical sentence starters do: "the U.S. We left", but "the U.S. Navy".
_COUNTRIES = frozenset(("u.s", "u.k", "d.c"))
_BEGINS = re.compile(
    r"(?:The|We|It|He|She|They|You|I|In|But|And|So|That|This|There|These|Then|If|When|What|Who|Why"
    r"|How|My|Our|His|Her|Its|Their|A|An|At|On|For|Now|Yes|No|Not|One|After|Before|Some|Most)\b"
)
_ZONE = re.compile(r"(?:[ECMP][SD]?T|AKST|HST|GMT|UTC|BST|CES?T|EES?T|[IJKS]ST|AE[SD]T)\b")
_DAY_BEFORE = re.compile(r"(?<![\w.])\d{1,2}\. ?\d{1,2}\Z")
_YEAR, _YEAR_SO_FAR = re.compile(r"[12]\d{3}(?!\w)"), re.compile(r"[12]\d{0,3}")
_MONTH_AND_YEAR = re.compile(r"(?:0?[1-9]|1[0-2])\. ?[12]\d{3}(?!\w)")
_MONTH_SO_FAR = re.compile(r"(?:[01]|0?[1-9]|1[0-2])(?:\. ?(?:[12]\d{0,3})?)?")
_UNIT = re.compile(rf"\d\s?(?:in|{'|'.join(STOPPED_UNITS)})\Z")
_NUMERAL = re.compile(r"\d|(?:[IVXL]{2,}|[VX])\b")
_NEVER_END = (
    (frozenset(TITLES) | frozenset(ABBREVIATIONS) | {"sq", "cu", "fl"}) - _MAY_END - NEED_A_NUMBER
)


def _is_end(text: str, match: re.Match[str], final: bool) -> bool | None:
    """Whether a sentence ends at this mark; None if more text is needed to decide."""
    after = _BLANK.match(text, match.end())
    assert after is not None
    if after.end() == len(text):
        return True if final else None
    if match[0] == "\n":
        return _is_line_end(text, after.end(), after[0], final)
    sign = _MARKS.sub("", match[0])
    if not after[0] and sign == match[0] and sign[0] not in "。！？":
        return False
    following = text[after.end()]
    if sign[0] != ".":
        return not (sign[-1] not in "!?…。！？" and following.islower())
    if len(sign) > 1:  # an ellipsis, or a full stop and a closing quote
        return not following.islower()
    before = re.search(r"[\w.'/]*$", text[: match.start()])
    word = before[0].strip("'").lower() if before else ""
    if word.isdecimal() and not text[: match.start() - len(word)].strip():
        return False  # "1. First": the number of an item, not a sentence
    if word.isdecimal() and len(word) <= 2:
        following_text = text[after.end() : after.end() + 24]
        for is_day in (
            _is_day(following_text, final),
            _is_in_figures(text[: match.start()], following_text, final),
        ):
            if is_day is not False:
                return None if is_day is None else False
    if following.islower() and (word in MONTHS or _UNIT.search(text, 0, match.start())):
        return word == "may"
    if word in _COUNTRIES and following.isupper():
        begun = text[after.end() : after.end() + 8]
        return None if begun.isalpha() and not final else bool(_BEGINS.match(begun))
    if word in _MAY_END:
        if word in ("a.m", "p.m") and following.isupper():
            begun = text[after.end() : after.end() + 5]
            if not final and begun.isalpha():
                return None
            if _ZONE.match(begun):
                return False
        return not following.islower() and not following.isdecimal()
    if word in NEED_A_NUMBER or word == "ca":
        begun = text[after.end() : after.end() + 8]
        undecided = not final and begun.isalpha() and set(begun) <= set("IVXL")
        return None if undecided else not _NUMERAL.match(begun)
    return not (word in _NEVER_END or (re.fullmatch(r"[a-z](?:\.[a-z])*", word) and word != "i"))


def _is_day(following: str, final: bool) -> bool | None:
    """Whether a number and full stop are a day ("5. Nov 2020"); None if undecided."""
    if not final and len(following) < 24:
        begun = re.fullmatch(r"[A-Z][a-z]*", following)
        if begun and any(name.startswith(following) for name in MONTHS.values()):
            return None
        if re.fullmatch(rf"{MONTH}[,.]?\s*[12]?\d{{0,3}}", following):
            return None
    return re.match(rf"{MONTH}{ENDS_A_DATE}", following) is not None


def _is_in_figures(before: str, following: str, final: bool) -> bool | None:
    """Whether a full stop is part of "3. 5. 2020"; None if undecided."""
    is_month = _DAY_BEFORE.search(before) is not None
    if not final:
        so_far = _YEAR_SO_FAR if is_month else _MONTH_SO_FAR
        if so_far.fullmatch(following):
            return None
    return (_YEAR if is_month else _MONTH_AND_YEAR).match(following) is not None


def _is_line_end(text: str, next_line: int, blank: str, final: bool) -> bool | None:
    """Whether a line break ends a sentence: before a blank line, list item or heading."""
    if "\n" in blank:
        return True
    rest = text[next_line : next_line + 8]
    if not final and _LINE_START_SO_FAR.fullmatch(rest):
        return None
    return bool(_LINE_START.match(rest))


def _cut(text: str) -> int:
    """Where to cut an overlong sentence: after a pause, else between words."""
    longest = _longest(text)
    window = text[:longest]
    for pattern in (r"[;:—](?=\s)|[；：]", r",(?=\s)|[，、]", r"\s"):
        places = [found.end() for found in re.finditer(pattern, window)]
        if places and places[-1] > longest // 3:
            return places[-1]
    return longest


def _longest(text: str) -> int:
    """Length limit of a text's first sentence, in characters."""
    longest = LONGEST_SENTENCE
    for character in _HAN.finditer(text, 0, LONGEST_SENTENCE):
        if character.start() >= longest:
            break
        longest -= _HAN_LENGTH - 1
    return longest


def _next_end(text: str, final: bool) -> int | None:
    """Index of the first sentence's end, or None if more text is needed."""
    # Code is not spoken, so its length is not limited.
    longest = _longest(text)
    has_code = len(_FENCE.findall(text, 0, longest)) % 2
    for match in _END.finditer(text):
        if match.start() >= longest and not has_code:
            break
        if len(_FENCE.findall(text, 0, match.start())) % 2:
            continue
        decision = _is_end(text, match, final)
        if decision is None:
            return None
        if decision:
            return match.end()
    if len(text) > longest + 1 and not has_code:
        return _cut(text)
    return len(text) if final else None


class TextFilter(Protocol):
    """Filters a streamed text."""

    def push(self, piece: str) -> str: ...
    def flush(self) -> str: ...


class SentenceStream:
    """Splits a streamed text, such as a language model's, into sentences.

    The result equals `split_sentences` of the whole text, however it is chunked. A sentence is
    emitted as soon as the start of the next one shows that it is complete. Thoughts and tool calls
    are removed; if only the end of a thought is marked, sentences emitted before cannot be taken
    back.

    Args:
        controls: filters controls out of the text, and may leave `MARKS`.
    """

    def __init__(self, controls: TextFilter | None = None) -> None:
        self._text = ""
        self._controls = controls
        self._thoughts = ThoughtFilter()

    def push(self, piece: str) -> list[str]:
        """Takes the next chunk; returns the sentences it completes."""
        self._add(self._thoughts.push(piece))
        return self._take(final=False)

    def flush(self) -> list[str]:
        """Returns the rest and resets the stream."""
        self._add(self._thoughts.flush(), final=True)
        return self._take(final=True)

    def _add(self, text: str, final: bool = False) -> None:
        if self._controls is not None:
            text = self._controls.push(text) + (self._controls.flush() if final else "")
        kept = "" if self._thoughts.unopened else self._text
        self._text = (kept + text).lstrip()

    def _take(self, final: bool) -> list[str]:
        found = []
        while self._text and (end := _next_end(self._text, final)) is not None:
            found.append(self._text[:end].strip())
            self._text = self._text[end:].lstrip()
        return [sentence for sentence in found if sentence]


def split_sentences(text: str) -> list[str]:
    """Splits a text into sentences of at most `LONGEST_SENTENCE` characters.

    Abbreviations, initials, decimals and numbered items do not end a sentence; code blocks stay
    whole, whatever their length.
    """
    stream = SentenceStream()
    return stream.push(text) + stream.flush()
