"""Readings of Roman numerals: "Henry VIII" is the eighth, "Chapter VIII" and "Rocky II" are not.

After a ruler or a person's full name a numeral is an ordinal; after other names and headings it is
a cardinal. A single letter is a numeral only with further evidence.
"""

import re
from collections.abc import Callable

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.letters import LETTER_NAMES

_HEADING = re.compile(
    r"""\b(?:Chapter|Part|Act|Scene|Volume|Vol\.|Book|Phase|Section|Level|War|Type|Title|Appendix
    |Article|Annex|Amendment|Season|Episode|Stage|Class|Grade|Table|Figure|Fig\.|Tier|Category
    |Division|Mark|Factor|Schedule|Exhibit|Group|Unit|Lesson|Round|Canto|Sonata|Symphony|Movement
    |Bowl|Page|Verse|Paragraph|Clause|Item|Step|Rule|Psalm|Sonnet|Opus|WrestleMania|Apollo|Gemini|Saturn|Photosystem|Zone|Region|Fantasy|Quest|Scrolls|Auto|Empires|Rocky
    |Civilization|Fighter|Halo|Diablo|iPhone|OS|GTA|Battlefield|Persona|Tekken|Kombat)s?\s+\Z""",
    re.I | re.X,
)
_RULER_TITLE = re.compile(
    r"\b(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Shah|Prince|Princess|Pharaoh|Duke)"
    r"\s+(?:[A-Z][\w'-]*\s+){1,3}\Z"
)
_RULERS = frozenset(
    """Abdul Adrian Agustin Ahmed Albert Alexander Alexios Alfonso Amenhotep Andrew Anne Artaxerxes
    Baldwin Basil Bayezid Benedict Boniface Caesar Callixtus Carl Carlos Casimir Catherine Celestine
    Charles Christian Clement Conrad Constantine Cyrus Darius David Demetrius Edmund Edward Eleanor
    Elizabeth Emmanuel Erik Eric Eugene Felipe Ferdinand Francis Francois Franz Frederick Friedrich
    George Gregory Gustav Haakon Harald Harold Heinrich Henri Henry Honorius Hussein Innocent Isaac
    Isabella Ivan James Jean Joan Johann Johannes John Joseph Juan Julius Justinian Karl Kenneth
    Leo Leopold Louis Lucius Ludwig Magnus Mahmud Malcolm Manuel Margaret Margrethe Maria Martin
    Mary Matilda Matthias Maximilian Mehmed Michael Mohammed Murad Mustafa Napoleon Nicholas Olav
    Olaf Osman Otto Paul Pedro Peter Phillip Philip Philippe Pius Ptolemy Rama Ramesses Ramses
    Richard Robert Romanos Selim Seti Sigismund Simeon Sixtus Stanislaw Stephen Suleiman Sylvester
    Theodore Thutmose Tutankhamun Umberto Urban Valentinian Victor Vittorio Vladimir Wilhelm Willem
    William Xerxes Zog""".split()
)
_FIRST_NAMES = frozenset(
    """Adam Alan Allen Anthony Arthur Austin Ben Benjamin Bill Bob Brian Bruce Calvin Chris Clarence
    Cornelius Daniel Davis Dennis Donald Douglas Earl Edgar Elliott Ernest Frank Franklin Fred Gary
    Gilbert Gordon Griffin Harry Howard Jack Jacob Jason Jeffrey Jim Joe Ken Kevin Larry Lawrence
    Loudon Mark Marvin Matthew Mike Nathan Oliver Patrick Ralph Ray Raymond Robin Roger Ronald Roy
    Russell Sam Samuel Scott Steve Steven Terry Thomas Thurston Tim Tom Walter Warren""".split()
)
# "Dr. Werschky II", "Ben L. Littlejohn III"; and after the numeral, "III, MD"
_PERSON = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Rev|Sir|Judge|Senator|Doctor|Captain)\.?\s+(?:[A-Z][\w'.-]*\s+){0,2}"
    r"|\b[A-Z]\.\s+)[A-Z]?[\w'-]+\s+\Z"
)
_THE = re.compile(r"\b[A-Z][a-z]+ the \Z")
_CREDENTIALS = re.compile(r",?\s+(?:M\.?D\b|Ph\.?D\b|Esq\b|D\.?D\.?S\b|CPA\b)")
_FUNCTION_WORDS = frozenset(
    """The An This That His Her My Your Our Their Its With Via By And Or In On Of For From To No Is
    Are If When Then But So As At Start Give Use Get Take Run Insert Hang Check Change Place What
    Which Some Any Every Each New Into Yes Not""".split()
)
# These are almost always numerals; "CV", "MD" and "XL" are not.
_CERTAIN = re.compile(r"[IVX]*(?:II|IV|VI|IX|XI|XV)[IVX]*")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_WELL_FORMED = re.compile(r"(?=.)M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_BEGINS_HEADING = re.compile(r"\.\s+[A-Z]")
_DRIP = re.compile(
    r"\s+(?:drip|fluids?|lines?|bags?|therapy|infusions?|antibiotics?|catheters?|poles?|drugs?"
    r"|push|access|needles?|treatments?|medications?|contrast|iron)\b"
)
_WHICH = re.compile(r"\s+(?:century|Century|centuries|Congress|Olympiad|Olympic|dynasty|Dynasty)\b")
_LISTED_BEFORE = re.compile(r"\b[IVX]+(?:\s*(?:,|&|/|-|–)\s*|,?\s+(?:and|or|to|through)\s+)\Z")
_LISTED_AFTER = re.compile(
    r"(?:\s*(?:,|&|/|-|–)\s*|,?\s+(?:and|or|to|through)\s+)(?:V|X|[IVX]{2,})\b"
)
# "Part I" is a heading, unless the next words make "I" a pronoun.
_SAYS_I = re.compile(
    r"\s+(?:am|was|have|had|do|did|can|could|will|would|shall|should|may|might|must|never|always"
    r"|really|just|also|still|only|once|love|like|hate|want|need|think|thought|know|knew|mean|said"
    r"|say|saw|see|took|take|got|get|made|make|read|wrote|write|bought|buy|found|find|use|used"
    r"|heard|hear|told|tell|went|go|watched|played|learned|learnt|liked|loved|wanted|needed|hope"
    r"|guess|suppose|believe|enjoyed|enjoy|remember|missed|miss|left|lost|gave|give|feel|felt)\b"
)
_SMALL_HEADING_OF_I = re.compile(
    r"\s+(?:of|and|or|to|diabetes|errors?|cancers?|trials?|tumou?rs?|diseases?|reactions?)\b"
)
_RULES = re.compile(
    r"\s+(?:of|and|ruled|reigned|succeeded|ascended|abdicated|was|is|had|became|died|in)\b"
    r"|'s\b|\s*[,;:!?()]|\s*\.?\s*\Z|\.\s+(?:He|She|His|Her|It|They|The|Then|In)\b"
)
_NAME_BEFORE = re.compile(r"(?:(?P<first>[A-Z][\w'-]*)\s+)?(?P<last>[A-Z][\w'-]*)\s+\Z")


def roman(numeral: str) -> int | None:
    """Value of a well-formed Roman numeral up to 3999, else None."""
    if not _WELL_FORMED.fullmatch(numeral):
        return None
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _numeral(match: re.Match[str]) -> str | None:
    numeral = match["numeral"]
    value = roman(numeral.upper())
    if value is None:
        return None
    if _WHICH.match(after(match)) and numeral not in ("I", "C", "D", "L", "M"):
        return numbers.ordinal(str(value))
    if _THE.search(before(match)) and len(numeral) > 1:
        return numbers.ordinal(str(value))
    if heading := _HEADING.search(before(match)):
        return numbers.cardinal(str(value)) if _is_headed(match, heading[0]) else None
    if numeral.islower():
        return numbers.cardinal(str(value)) if _is_listed_small(match) else None
    if set(numeral) <= set("IVX") and _says_which(match):
        return f"the {numbers.ordinal(str(value))}"
    if _is_number(match):
        is_year = len(numeral) > 3 and 1000 < value < 2100
        return (numbers.year if is_year else numbers.cardinal)(str(value))
    return None


def _is_headed(match: re.Match[str], heading: str) -> bool:
    """Whether the numeral belongs to the preceding heading: "Part I", but "the part I like"."""
    if match["numeral"] != "I":
        return len(match["numeral"]) > 1 or match["numeral"] in "VX"
    if _LISTED_AFTER.match(after(match)):
        return True
    if heading[0].isupper():
        return not _SAYS_I.match(after(match))
    return _SMALL_HEADING_OF_I.match(after(match)) is not None


def _says_which(match: re.Match[str]) -> bool:
    """Whether the numeral is an ordinal, distinguishing a ruler or a person from namesakes."""
    numeral, name = match["numeral"], _NAME_BEFORE.search(before(match))
    if len(numeral) > 1 and (_PERSON.search(before(match)) or _CREDENTIALS.match(after(match))):
        return True
    if name is None:
        return False
    ruler = name["last"] in _RULERS
    if _RULER_TITLE.search(before(match)):
        return numeral != "I" or not _SAYS_I.match(after(match))
    if len(numeral) > 1:
        return ruler or name["first"] in _FIRST_NAMES | _RULERS
    is_name_of_its_own = (name["last"], numeral) == ("Malcolm", "X")
    return ruler and not is_name_of_its_own and _RULES.match(after(match)) is not None


def _is_number(match: re.Match[str]) -> bool:
    """Whether a numeral without a heading is a cardinal: "Final Fantasy VII", "II and III"."""
    numeral, name = match["numeral"], _NAME_BEFORE.search(before(match))
    if len(numeral) > 1 and not before(match).strip() and _BEGINS_HEADING.match(after(match)):
        return True
    listed = _LISTED_BEFORE.search(before(match)) or _LISTED_AFTER.match(after(match))
    if len(numeral) == 1:
        return numeral in "IVX" and _LISTED_AFTER.match(after(match)) is not None
    if len(numeral) > 3 and numeral[0] == "M":
        return True
    if not _CERTAIN.fullmatch(numeral):
        return False
    if numeral in ("IV", "VI") and not listed:
        named = name is not None and name["last"] not in _FUNCTION_WORDS
        return named and not _DRIP.match(after(match))
    return True


def _is_listed_small(match: re.Match[str]) -> bool:
    """Whether it numbers an item: "(ii) the second", "iii. the third"."""
    if before(match)[-1:] == "(":
        return after(match)[:1] == ")"
    return not before(match).strip() and re.match(r"[.)] ", after(match)) is not None


def _with_letter(match: re.Match[str]) -> str | None:
    """Reads "Phase IIb", "Stage IIIA"."""
    value = roman(match["numeral"])
    if value is None or not _HEADING.search(before(match)):
        return None
    return f"{numbers.cardinal(str(value))} {LETTER_NAMES[match['letter'].lower()]}"


def _range(match: re.Match[str]) -> str | None:
    """Reads "Chapters I-IV"; the "I-V" of an I-V curve is letters."""
    first, last = roman(match["first"]), roman(match["last"])
    if len(match[0]) <= 3 or first is None or last is None or first >= last:
        return None
    return f"{numbers.cardinal(str(first))} to {numbers.cardinal(str(last))}"


def _named(match: re.Match[str], name: Callable[[str], str]) -> str | None:
    value = roman(match["numeral"])
    return None if value is None else name(str(value))


NUMERALS: tuple[tuple[str, Reader], ...] = (
    (r"(?<![\w.'-])(?P<first>[IVX]+)[-–](?P<last>[IVX]+)(?![\w'-])", _range),
    (r"(?<![\w.'-])(?P<numeral>[IVXLCDM]+)(?![\w&])(?!\.\w|'(?!s\b))", _numeral),
    (
        r"(?<=[a-z]-)(?P<numeral>[IVX]{2,})(?![\w'-])",  # "Type-II"
        lambda match: _named(match, numbers.cardinal),
    ),
    (
        r"(?<![\w.'-])(?P<numeral>[IVX]{2,})th(?![\w'-])",
        lambda match: _named(match, numbers.ordinal),
    ),
    (r"(?<![\w.'-])(?P<numeral>[IVX]+)(?P<letter>[a-cA-C])(?![\w'-])", _with_letter),
    (r"(?<![\w.'-])(?P<numeral>[ivx]{2,})(?![\w'-])", _numeral),
)
"""Patterns and their readers, in the order in which they are tried."""
