"""Removes visual elements from a text: markdown, HTML, emoji, decoration.

What remains is one line of words, numbers, pronounceable signs (%, $, &) and the punctuation of
`models.text.symbols`.
"""

import html
import re
import unicodedata

from models.text.answer_marks import MENTIONED_TAG
from models.text.languages.en.exponents import write_exponents
from models.text.languages.en.grouping import regroup
from models.text.languages.en.primes import write_primes
from models.text.languages.en.signs import SIGNS, write_signs
from models.text.thoughts import without_thoughts

# Patterns for spaces around a sign would try every start of a run: quadratic time.
_BLANKS = re.compile(r"[^\S\n]+")
_POWER = re.compile(r"(?<=[\w)])\*\*(?=-?\d{1,9}(?![\w*]))")
_BRACED = re.compile(r"\^\{([^{}]{1,30})\}")
# "3x4 m", "2' x 4'", but not "0x1F" or "1.5×10⁻⁵".
_BY = re.compile(
    r"(?<![\w.])(?!0x)(\d[\d.,]*(?:[a-z]{1,2})?)x(?=\d)|(?<=\d['\"′″])\s?[x×]\s?(?=\d)"
)
_TIMES = re.compile(r"(?<![\w.])(\d[\d.]*)x(?=\s+(?:as|more|less|[a-z]{2,}er)\b)")
# Otherwise a hyphen between spaces is a pause.
_MINUS = re.compile(
    r"(?<=[\w)])\s(?:-(?=\s[\w(.]+(?:\s[-+*/×÷−]\s[\w(.]+){0,9}\s?=)|−)\s(?=[\w(.])"
)
_SIGN_APART = re.compile(r"(?<![\w)])−\s(?=\d)")
# "5-3=2" and "8/4=2"
_SUM = re.compile(r"(?<![\w./-])(\d{1,9})([-/])(?=\d[\d.,]{0,9}\s?=\s?\d)")
# "5−3", "b²−4ac"; years as in "2010−2015" are a range.
_CLOSE_MINUS = re.compile(r"(?<!(?:19|20)\d\d)(?:(?<=[\d)²³])|(?<=\b[A-Za-z]))−(?=[\d(√A-Za-z])")
# An over-escaped line break, but not a file name after a folder.
_ESCAPED_LINE = re.compile(r"(?<![\w:\\])(?:\\n)+")
_FENCE = re.compile(r"(?:```|~~~).*?(?:```|~~~|\Z)", re.S)
_TAG_IN_CODE = re.compile(r"</?([a-zA-Z][\w:-]{0,40})(?:\s[^<>]{0,200})?/?>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<!--.*?-->", re.S)
_LINK = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,2000}(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"!?\[([^\[\]]{1,500})\]\[[^\[\]]{0,100}\]|\[\^[^\[\]]{1,100}\]")
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*\|?[ \t]*:?-{2,}[-:| \t]*$", re.M)
_TABLE_ROW = re.compile(r"^[ \t]*\|(.*?)\|[ \t]*$", re.M)
_LINE_MARK = re.compile(
    r"^[ \t]*(?:(?:>(?![\d=])[ \t]?)+|#{1,6}[ \t]+|(?:[-*+•◦‣▪·]|\[[ xX]\])[ \t]+)+", re.M
)
_ITEM = re.compile(r"^[ \t]*(?:[-*+•◦‣▪·][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|[>|])")
_NUMBERED = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]+", re.M)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.{1,500}?)(?<=\S)\1(?![\w*])", re.S)
_CODE = re.compile(r"`+([^`\n]{1,500})`+")
# Only stand-alone faces: "8)" closes a bracket, "10:30" is a time. "8" and "x" are not eyes, and
# "3" is a mouth only in ":3" and "<3"; otherwise "83", "8-3" and "XP" would be faces.
_LONE_QUOTE = re.compile(r"(?<!\S)'+(?!\S)")
_EMOTICON = re.compile(
    r"(?<!\S)(?:[:;=][-'o^]?[)(\]\[DPpOo/\\|*]+|:-?3|[)(][-']?[:;=]|<3+|</3|\^_?\^|[-T;>][_.][-T;<]"
    r"|¯\\_\(ツ\)_/¯|xD+|XD+)(?=[\s.,!?]|$)"
)
_DASH = re.compile(r"\s*(?:—|―|–(?=\s)|(?<=\s)–|-{2,}|(?<=\s)-(?=\s))+\s*")
_QUOTES = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ`´′＇", "'"),
        **dict.fromkeys('“”„«»″"', " "),
        **{"−": "-", "‐": "-", "‑": "-", "‒": "-", "。": ". ", "、": ", ", "，": ", ", "！": "! "},
        **{
            "？": "? ",
            "；": "; ",
            "：": ": ",
            "¿": " ",
            "¡": " ",
            "‽": "?!",
            "\u00ad": "",
            "⁄": "/",
        },
        **{fraction: f" {fraction}" for fraction in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒↉"},
        **dict.fromkeys("\u200b\u200c\u200e\u200f\u2060\ufeff", ""),
    }
)
_KEPT_SIGNS = frozenset(",.?!;:—―–-'/*^()_\n \\") | SIGNS
# Rules and decoration: "=====", "~~~~", "$$$".
_RUN_OF_SIGNS = re.compile(r"([=+*~^#<>@&%$/\\])\1{2,}")
_MARK = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
_GREEK_VARIABLE = re.compile(r"(?<=[α-λν-ωΑ-Ψ])(?=[A-Za-z])")  # "πr", but "μm"
_MANY_MARKS = re.compile(f"(.){_MARK.pattern}{{3,}}")
# Styled letters that NFKC keeps: "ᴛɪɴʏ", "🅷🅸".
_DRAWN = re.compile("[\u0250-\u02af\u1d00-\u1d23\ua730\ua731\U0001f150-\U0001f189]")
_PARTS_OF_EMOJI = frozenset(("Cn", "Co", "Cs", "Cc", "Cf", "So", "Sk"))


def _spaced_lines(text: str) -> str:
    """Joins lines: headings, items and paragraphs end a sentence, wrapped lines do not."""
    pieces: list[str] = []
    lines = text.strip().splitlines()
    for number, line in enumerate(lines):
        stripped = line.strip()
        if not stripped:
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        ends = not following.strip() or _ITEM.match(following) or line.lstrip().startswith("#")
        pieces.append(stripped)
        if ends and stripped[-1].isalnum() and number + 1 < len(lines):
            pieces[-1] += "."
    return "\n".join(pieces)


def _without_markdown(text: str) -> str:
    text = _FENCE.sub("\n\n", text)
    # Keep quoted tags ("put `<br>` there"), which the sentence is about.
    text = _CODE.sub(lambda code: _TAG_IN_CODE.sub(r" \1 ", code[1]), text)
    text = _TAG.sub(" ", MENTIONED_TAG.sub(r" \1 ", text))
    text = _RULE.sub("", text)
    text = _TABLE_ROW.sub(r"\1\n", text)
    if "\n" in text:
        text = _spaced_lines(text)
    text = _REFERENCE.sub(lambda match: match[1] or "", _LINK.sub(r"\1", text))
    text = _LINE_MARK.sub("", text)
    text = _NUMBERED.sub(r"\1, ", text)
    for _ in range(3):  # nested: ***both*** or **bold and *italic***
        text, changes = _EMPHASIS.subn(r"\2", text)
        if not changes:
            break
    return re.sub(r"\s*\|\s*", ", ", text) if "|" in text else text


def _sayable(character: str) -> str:
    """Keeps letters, digits and signs that are spoken or make a pause.

    Letters of scripts that English voices cannot read are dropped; espeak-ng would name them.
    """
    if character in _KEPT_SIGNS or character.isdecimal() or character.isascii():
        return character if character.isprintable() or character == "\n" else " "
    if character.isalpha():
        readable = unicodedata.name(character, "").startswith(("LATIN", "GREEK"))
        return character if readable else " "
    category = unicodedata.category(character)
    if category in _PARTS_OF_EMOJI:
        return " " if category == "So" else ""
    return character if category[0] == "M" else " "


def _without_decoration(text: str) -> str:
    text = _DRAWN.sub(lambda found: _plain_letter(found[0]), text)
    text = write_exponents(write_signs(write_primes(text)))
    # Accents belong to their letters; NFKC also splits ligatures such as "ﬁ".
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES)).translate(_QUOTES)
    text = _GREEK_VARIABLE.sub(" ", "".join(map(_sayable, text)))
    return _RUN_OF_SIGNS.sub(" ", _without_marks(text))


def _plain_letter(drawn: str) -> str:
    found = re.fullmatch(
        r"LATIN LETTER SMALL CAPITAL (\w)|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER (\w)",
        unicodedata.name(drawn, ""),
    )
    return drawn if found is None else found[1].lower() if found[1] else found[2]


def _without_marks(text: str) -> str:
    """Drops combining marks that are not part of a letter ("F̶A̵I̶L̴"), and all marks of letters
    with many; also the variation selector that turns a letter-like sign into an emoji.
    """
    if not _MARK.search(unicodedata.normalize("NFD", text)):
        return text
    text = _MANY_MARKS.sub(r"\1", unicodedata.normalize("NFD", text))
    return _MARK.sub("", unicodedata.normalize("NFC", text))


def clean(text: str) -> str:
    """Removes markdown, HTML, emoji and decoration.

    Args:
        text: written by a person or a language model.

    Returns:
        One line without quotes; brackets become pauses. May be empty.
    """
    text = regroup(without_thoughts(_ESCAPED_LINE.sub("\n", text)))
    text = _BLANKS.sub(" ", _BRACED.sub(r"^(\1)", _POWER.sub("^", text)))
    text = _SUM.sub(lambda sum: f"{sum[1]} {'minus' if sum[2] == '-' else '÷'} ", text)
    text = _SIGN_APART.sub("−", _MINUS.sub(" minus ", text))
    text = _CLOSE_MINUS.sub(" minus ", text)
    text = _TIMES.sub(r"\1 times", _BY.sub(r"\1 by ", text))
    # Fast path: most lines of dialogue are plain words.
    if re.search(r"[`~<>\[\]*_#|\n&]", text):
        text = _without_markdown(html.unescape(text))
    text = _EMOTICON.sub("", text)
    text = _without_decoration(text)
    text = re.sub(r"\s+", " ", _LONE_QUOTE.sub(" ", text))
    text = re.sub(r"(?<!\.)\.{2,}+(?=\s*(?:$|[A-Z]))", ". ", text)
    text = re.sub(r"\.{2,}+(?!/\w)", ", ", text)
    text = _DASH.sub(" — ", text)
    return re.sub(r"[\s_]+", " ", text).strip()
