"""Controls in a text: `[pause 600ms]`, `[excited]...[/]`, and SSML 1.1 elements.

A control is replaced by a mark, a private-use character, so that the text can be split into
sentences as usual; `stretches_of` then splits a sentence at its marks. Unknown tags are removed:
stage directions such as "[laughs]" are not spoken.
"""

import html
import logging
import re
from dataclasses import dataclass, replace
from typing import TypeVar

from data.errors import InputError
from models.delivery.delivery import MANNERS, NEUTRAL, Delivery, manner_named
from models.delivery.ipa import symbols_of_ipa
from models.delivery.values import pause_seconds, pitch_factor, rate_factor, volume_factor
from models.text.sentences import MARKS

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST, _LAST = map(ord, MARKS.split("-"))  # private-use characters of the BMP
_MARK = re.compile(f"[{MARKS}]")
_LONGEST = 300
_CODE = re.compile(r"`{3,}|~{3,}|`|\n")
_BRACKET = r"\[(?P<closes>/?)(?P<tag>[^\[\]\n]{0,200})\](?=(?P<link>[(\[:]?))"
_ELEMENT = r"<(?P<ends>/?)(?P<name>[A-Za-z][\w:-]{0,30})(?P<rest>\s[^<>]{0,200})?(?P<empty>/?)>"
_TAG = re.compile(f"{_BRACKET}|{_ELEMENT}|<[?!][^<>]{{0,200}}>")
# A chunk end that may be an incomplete tag or code.
_BEGUN = re.compile(
    rf"(?:\[[^\[\]\n]{{0,{_LONGEST}}}\]?|<[/?!]?(?:[A-Za-z][^<>]{{0,{_LONGEST}}})?|`+|~+)\Z"
)
_ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_DIRECTION = re.compile(r"[a-z][\w'.:=%+-]*(?: [\w'.:=%+-]+){0,3}|[A-Z][A-Z_ -]+")
_STAGE = re.compile(
    r"(?:laugh|chuckl|giggl|sigh|gasp|cough|sneez|sniff|cr(?:y|ies)|sob|groan|yawn|clear|whistl"
    r"|breath|inhal|exhal|music|applause|silence|beat|pause|whisper|shout|smil|nod|shrug|gulp)",
    re.I,
)
_PAUSES = ("pause", "break", "wait", "silence")
_SPELLED = ("spell", "characters", "letters", "spell-out")
_PROSODY = {"pitch": pitch_factor, "rate": rate_factor, "volume": volume_factor}
_EMPHASIS = {
    "strong": Delivery(1.06, 0.9, 1.3),
    "moderate": Delivery(1.03, 0.95, 1.15),
    "reduced": Delivery(0.98, 1.05, 0.85),
    "none": Delivery(),
}
_READINGS = {
    **dict.fromkeys(("characters", "spell-out", "verbatim", "spell"), "characters"),
    **dict.fromkeys(("digits", "number:digits"), "digits"),
    **dict.fromkeys(("cardinal", "number", "number:cardinal"), "cardinal"),
    **{"ordinal": "ordinal", "number:ordinal": "ordinal", "date": "date"},
    **dict.fromkeys(("telephone", "phone"), "telephone"),
    **dict.fromkeys(("time", "currency", "fraction", "unit", "measure", "address"), "text"),
    **dict.fromkeys(("name", "net", "text"), "text"),
}
_STATE_ELEMENTS = ("prosody", "emphasis", "phoneme", "sub", "voice", "say-as")
_BLOCKS = ("p", "s", "paragraph", "sentence")
_SILENT_ELEMENTS = (
    *("speak", "lang", "w", "token", "mark", "desc", "metadata", "meta", "lexicon", "audio"),
    *("lookup", "amazon:effect", "amazon:domain", "mstts:express-as", "seq", "par", "media"),
)


@dataclass(frozen=True)
class State:
    """The state that a control establishes.

    Attributes:
        delivery: delivery of the sound.
        reading: how words are read: "" as usual, "ipa" or "alias" (both with `said`), or a value of
            `_READINGS`.
        said: what is spoken instead.
        voice: name of another voice; "" for the current one.
    """

    delivery: Delivery = NEUTRAL
    reading: str = ""
    said: str = ""
    voice: str = ""


@dataclass(frozen=True)
class Mark:
    """A control's effect: the state after it, and a pause in its place. `source` is the control as
    written, `opened` the tags still open after it, except voices."""

    state: State
    pause_s: float = 0.0
    source: str = ""
    opened: str = ""


@dataclass(frozen=True)
class Stretch:
    """A part of a sentence spoken in one state, after a pause."""

    text: str
    state: State
    pause_s: float = 0.0


@dataclass
class _Open:
    name: str
    state: State
    source: str
    element: bool = False


class ControlReader:
    """Replaces the controls of a streamed text by marks.

    Args:
        strict: invalid controls raise InputError; otherwise they are dropped with a warning, as
            suits a language model's text.
    """

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self._held = ""
        self._open: list[_Open] = []
        self._marks: list[Mark] = []
        self._in_fence = self._in_code = False
        self._before = ""  # last character passed on
        self._state = State()  # current state of `stretches_of`
        self._source = ""  # source of the current control

    def push(self, piece: str) -> str:
        """Takes the next chunk; returns the text that is certain, with marks."""
        return self._take(piece, final=False)

    def flush(self) -> str:
        """Returns the rest."""
        return self._take("", final=True)

    def stretches_of(self, sentence: str) -> list[Stretch]:
        """Splits a sentence at its marks. Call it on all sentences, in order."""
        found: list[Stretch] = []
        pause = 0.0
        for part in re.split(f"({_MARK.pattern})", sentence):
            if _MARK.fullmatch(part):
                mark = self._marks[ord(part) - _FIRST]
                self._state = mark.state
                pause += mark.pause_s
            elif part.strip():
                found.append(Stretch(part, self._state, pause))
                pause = 0.0
        if pause:
            found.append(Stretch("", self._state, pause))
        return found

    def mark_of(self, character: str) -> Mark | None:
        """The mark that a character stands for, if any."""
        return self._marks[ord(character) - _FIRST] if _MARK.fullmatch(character) else None

    def _take(self, piece: str, final: bool) -> str:
        self._held += _MARK.sub("", piece)  # unpronounceable, and reserved for marks
        end = len(self._held)
        if not final and (begun := _BEGUN.search(self._held, max(0, end - _LONGEST))):
            end = begun.start()
        passed, position = [], 0
        for tag in _TAG.finditer(self._held, 0, end):
            passed.append(self._pass(self._held[position : tag.start()]))
            position = tag.end()
            code = self._in_fence or self._in_code
            passed.append(self._pass(tag[0]) if code else self._control(tag))
        passed.append(self._pass(self._held[position:end]))
        self._held = self._held[end:]
        return "".join(passed)

    def _pass(self, text: str) -> str:
        for found in _CODE.finditer(text):
            if len(found[0]) >= 3:
                self._in_fence = not self._in_fence
            else:
                self._in_code = found[0] == "`" and not self._in_code
        self._before = text[-1:] or self._before
        return text

    def _control(self, tag: re.Match[str]) -> str:
        """Replacement of a tag: a mark, nothing, or the tag itself if it is not a control."""
        if tag["tag"] is None and tag["name"] is None:
            return ""  # <?xml ...?>, <!-- ... -->
        self._source = tag[0]
        try:
            if tag["name"] is not None:
                known = self._element(tag)
            elif self._is_written(tag):
                known = None
            else:
                known = self._bracket(tag)
        except InputError as error:
            if self._strict:
                raise InputError(f"{tag[0]:.80}: {error}") from None
            logger.warning("the control %.80s is left out: %s", tag[0], error)
            known = "" if tag["empty"] else self._opened_in_vain(tag)
        if known is None:
            return self._pass(tag[0])
        self._before = " "
        return known

    def _is_written(self, tag: re.Match[str]) -> bool:
        """Whether a bracket is part of the text: a link, or an index as in a[i]."""
        is_index = self._before.isalnum() or self._before == "]"
        return not tag["closes"] and (is_index or tag["link"] == "(")

    def _opened_in_vain(self, tag: re.Match[str]) -> str:
        """Opens a dropped control without effect, so that its closing tag matches."""
        name = (tag["name"] or re.split(r"[\s:=]", tag["tag"].strip())[0]).lower()
        if name in (*_PAUSES, "break"):
            return ""
        return self._opened(name, self._inner, "", element=tag["name"] is not None)

    def _bracket(self, tag: re.Match[str]) -> str | None:
        """Replacement of a control in brackets; None if it is text."""
        name, _, value = re.sub(r"\s+", " ", tag["tag"].strip()).partition(" ")
        name, value = (name.rstrip(":=").lower(), value.strip())
        if not value and "=" in name:
            name, _, value = name.partition("=")
        if tag["closes"]:
            return self._close(name)
        state = self._inner
        if name in _PAUSES and not (name == "silence" and not value):
            return self._mark(pause_s=pause_seconds(value))
        if name in _SPELLED and not value:
            return self._opened(name, replace(state, reading="characters"), tag[0])
        if name == "digits" and not value:
            return self._opened(name, replace(state, reading="digits"), tag[0])
        if name in _PROSODY and value:
            return self._opened(name, self._prosody({name: value}), tag[0])
        if name in ("ipa", "phoneme") and value:
            return self._opened(name, _pronounced(state, value), tag[0])
        if name == "voice" and value:
            return self._opened("voice", replace(state, voice=value), tag[0])
        manner = "" if value else manner_named(name)
        if manner:
            return self._opened(name, self._delivered(MANNERS[manner]), tag[0])
        given = tag["tag"].strip()
        is_direction = _DIRECTION.fullmatch(given) or _STAGE.match(given)
        return "" if is_direction and not tag["link"] else None

    def _element(self, tag: re.Match[str]) -> str | None:
        """Replacement of an SSML element; None if it is not one and is left to the cleaning."""
        name = tag["name"].lower()
        if tag["ends"]:
            known = any(one.element and one.name == name for one in self._open)
            if name in _BLOCKS:
                return "\n\n"
            silent = name in _SILENT_ELEMENTS or name in _STATE_ELEMENTS
            return self._close(name) if known else ("" if silent else None)
        given = {n: html.unescape(a or b) for n, a, b in _ATTRIBUTE.findall(tag["rest"] or "")}
        if name in _BLOCKS:
            return "\n\n"
        if name in _SILENT_ELEMENTS:
            return ""
        if name == "break":
            return self._mark(pause_s=pause_seconds(given.get("time") or given.get("strength", "")))
        state = self._state_of(name, given)
        if state is None:
            return None
        return "" if tag["empty"] else self._opened(name, state, tag[0], element=True)

    def _state_of(self, name: str, given: dict[str, str]) -> State | None:
        state = self._inner
        if name == "prosody":
            return self._prosody(given)
        if name == "emphasis":
            return self._delivered(_chosen(_EMPHASIS, given.get("level", "moderate"), "level"))
        if name == "phoneme":
            if given.get("alphabet", "ipa").lower() != "ipa":
                raise InputError(f'alphabet is {given["alphabet"]!r:.40}; only "ipa" is known')
            return _pronounced(state, _needed(given, "ph"))
        if name == "sub":
            return replace(state, reading="alias", said=_needed(given, "alias"))
        if name == "voice":
            return replace(state, voice=_needed(given, "name"))
        if name == "say-as":
            reading = _chosen(_READINGS, _needed(given, "interpret-as"), "interpret-as")
            form = given.get("format", given.get("detail", ""))
            return replace(state, reading=reading, said=form)
        return None

    @property
    def _inner(self) -> State:
        return self._open[-1].state if self._open else State()

    def _delivered(self, delivery: Delivery) -> State:
        state = self._inner
        return replace(state, delivery=(state.delivery @ delivery).checked())

    def _prosody(self, given: dict[str, str]) -> State:
        pitch, rate, energy = (
            read(given[name]) if name in given else 1.0 for name, read in _PROSODY.items()
        )
        return self._delivered(Delivery(pitch, rate, energy))

    def _opened(self, name: str, state: State, source: str, element: bool = False) -> str:
        self._open.append(_Open(name, state, source, element))
        return self._mark()

    def _close(self, name: str) -> str:
        """Closes the innermost tag of this name, and those inside it; without a name, the
        innermost."""
        matching = [n for n, one in enumerate(self._open) if name in ("", one.name)]
        if not matching:
            return ""
        del self._open[matching[-1] :]
        return self._mark()

    def _mark(self, pause_s: float = 0.0) -> str:
        if len(self._marks) > _LAST - _FIRST:
            raise InputError(f"a text may hold {_LAST - _FIRST + 1} controls, and has more")
        opened = "".join(one.source for one in self._open if one.name != "voice")
        self._marks.append(Mark(self._inner, pause_s, self._source, opened))
        return chr(_FIRST + len(self._marks) - 1)


def lines_of(text: str) -> list[tuple[str, str]]:
    """Splits a text where the voice changes: (voice name or "", text with controls).

    Raises:
        InputError: a control is invalid.
    """
    reader = ControlReader(strict=True)
    lines: list[tuple[str, str]] = [("", "")]
    for character in reader.push(text) + reader.flush():
        voice, line = lines[-1]
        mark = reader.mark_of(character)
        if mark is None:
            lines[-1] = voice, line + character
        elif mark.state.voice == voice:
            lines[-1] = voice, line + mark.source
        else:
            lines.append((mark.state.voice, mark.opened))
    return [(voice, line) for voice, line in lines if without_controls(line)]


def without_controls(text: str) -> str:
    """The text without controls, as it is displayed and stored in the history."""
    reader = ControlReader()
    return without_marks(reader.push(text) + reader.flush())


def without_marks(text: str) -> str:
    """The text without marks."""
    return re.sub(rf"(?<=\s)[{MARKS}]+\s+|[{MARKS}]+", "", text).strip()


def check_controls(text: str, around: Delivery | None = None) -> None:
    """Checks the controls of a text.

    Args:
        text: with controls.
        around: delivery of the whole text.

    Raises:
        InputError: the first invalid control.
    """
    reader = ControlReader(strict=True)
    for character in reader.push(text) + reader.flush():
        mark = reader.mark_of(character)
        if mark is not None and around is not None:
            (around @ mark.state.delivery).checked()


def _pronounced(state: State, ipa: str) -> State:
    symbols_of_ipa(ipa)  # raises if it is unreadable
    return replace(state, reading="ipa", said=ipa)


def _needed(given: dict[str, str], name: str) -> str:
    if not given.get(name, "").strip():
        raise InputError(f"the attribute {name} is missing")
    return given[name].strip()


def _chosen(known: dict[str, T], name: str, what: str) -> T:
    if name.lower() not in known:
        raise InputError(f"{what} is {name!r:.40}; it must be one of {', '.join(known)}")
    return known[name.lower()]
