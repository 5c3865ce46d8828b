"""Readings of addresses: e-mail, web, hosts and ports, files and folders.

The dot in "node.js" or "example.in" is spoken and does not end a sentence. Of an "https://" address
only the host is read.
"""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, before
from models.text.languages.en.initials import acronym
from models.text.languages.en.letters import ABBREVIATIONS, LETTER_NAMES, TITLES

_SIGNS = {
    **{".": "dot", "+": "plus", "-": "dash", "/": "slash", "\\": "backslash", ":": "colon"},
    **{"@": "at", "~": "tilde"},
}
_PIECE = re.compile(r"\d+|[A-Z]+(?![a-z])|[^\W\d_]+?(?![a-z])|[.+/\\:@~-]")
_LABEL = r"[\w-]{1,63}"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,8}}"
_SEGMENT = r"[\w~+-]{1,63}(?:\.[\w~+-]{1,63}){0,4}"
_REST = rf"(?::\d{{1,5}}(?!\d))?(?:[/\\](?:{_SEGMENT})?){{0,16}}"
_LONGEST_REST = 40
_ENDINGS = frozenset(
    "com org net edu gov io ai uk de js py md txt pdf net exe html css json".split()
)
# Names of files may be numbers ("3.txt").
_FILES = (
    "txt md pdf py js html css json csv xml jpe?g png gif svg mp[34] wav docx? xlsx? zip".split()
)
# Sentences that continue like this merely lack a space: "I left.then he came".
_BEGINS_SENTENCE = frozenset(
    """and but then the we he she they you this that there if when what how why yes okay thanks
    please i'm it's because maybe however""".split()
)


def spelled_out(address: str) -> str:
    """Reads an address with its punctuation: "README.md" -> "readme dot md"."""
    said = []
    for piece in _PIECE.findall(address):
        if piece in _SIGNS:
            said.append(_SIGNS[piece])
        elif piece.isdecimal():
            said.append(numbers.digits(piece))
        elif len(piece) == 1:
            said.append(LETTER_NAMES.get(piece.lower(), piece))
        else:
            said.append(acronym(piece, shouted=True) if piece.isupper() else piece)
    return " ".join(said)


def _web(match: re.Match[str]) -> str:
    host = re.sub(r"\A(?:\w+://)?(?:www\.)?", "", match[0])
    return spelled_out(re.split(r"[/?#]", host)[0])


def _host(match: re.Match[str]) -> str | None:
    """Reads a host, file or dotted name, with port and path."""
    host, rest = match["host"], match["rest"]
    labels = host.split(".")
    if len(labels) == 2 and not rest and _is_end_of_sentence(*labels):
        return None
    if host.lower() in ABBREVIATIONS or all(len(label) == 1 for label in labels):
        return None  # "Ph.D" and "U.S.A" have their own readers
    if re.fullmatch(r"[vV]\d+(?:\.\d+)+(?:-?(?:alpha|beta|rc|dev|pre)\.?\d*)?", host):
        return None
    return spelled_out(host + (rest if len(rest) <= _LONGEST_REST else ""))


def _is_end_of_sentence(first: str, second: str) -> bool:
    """Whether the dot in "left.Then" ends a sentence, unlike those of "Dr.Who" and "J.Smith"."""
    if first.lower() in ABBREVIATIONS or first.lower() in TITLES:
        return second[0].isupper() or second[0].isdecimal()
    if not first.isalpha() or second.lower() in _ENDINGS:
        return False
    if second in ("I", "A", "a") or re.fullmatch(r"[A-Z][a-z'-]+", second):
        return True
    return len(first) > 2 and second.lower() in _BEGINS_SENTENCE


def _ip(match: re.Match[str]) -> str | None:
    if any(int(part) > 255 for part in match["host"].split(".")):
        return None
    return spelled_out(match[0])


def _digit_by_digit(match: re.Match[str]) -> str:
    """Reads "fe80::1" and "8080:80", letters as hexadecimal digits."""
    return " ".join(
        _SIGNS.get(one) or LETTER_NAMES.get(one.lower()) or numbers.digits(one)
        for one in match[0].strip("[]").replace("]", "")
    )


def _dotted(match: re.Match[str]) -> str | None:
    """Reads ".gitignore" and ".NET"; in "great .thanks" the space is misplaced."""
    return None if match[0][1:].lower() in _BEGINS_SENTENCE else spelled_out(match[0])


def _path(match: re.Match[str]) -> str | None:
    if re.search(r"\d\s?\Z", before(match)):
        return None  # "5 /hour"
    return spelled_out(match[0])


ADDRESSES: tuple[tuple[str, Reader], ...] = (
    # IPv6 and MAC addresses
    (
        r"(?<![\w:.])(?=[a-fA-F:]*\d)\[?(?:(?=[\da-fA-F:]*::)[\da-fA-F]{0,4}(?::{1,2}[\da-fA-F]{1,4}){1,7}"
        r"|[\da-fA-F]{1,4}(?::[\da-fA-F]{1,4}){5,7})(?:\]:\d{2,5})?(?![\w:])",
        _digit_by_digit,
    ),
    # ports
    (r"(?<![\w:./-])\d{4,5}:\d{2,5}(?![\w:])|(?<!\S):\d{2,5}(?!\w)", _digit_by_digit),
    (
        r"(?<!\w)(?P<port>)(?P<kind>tcp|udp|TCP|UDP)/(?P<number>\d{1,5})(?!\w)"
        r"|(?<![\w.])(?P<first>\d{1,5})/(?P<behind>tcp|udp|TCP|UDP)(?!\w)",
        lambda match: spelled_out(match[0].replace("tcp", "TCP").replace("udp", "UDP")),
    ),
    (r"(?<=\bport )\d{3,5}(?![\w,.]\d|\w)", lambda match: numbers.digits(match[0])),
    (r"[a-zA-Z][a-zA-Z+]{1,15}://[^\s()<>]*[\w/]|(?<!\w)www\.[^\s()<>]*[\w/]", _web),
    (
        rf"(?<![\w.+-])[\w.+-]{{1,64}}@{_HOST}(?::[\w./~-]{{0,63}}[\w/])?(?![\w@])",
        lambda match: spelled_out(match[0]),
    ),
    (rf"(?<![\w.])(?P<host>\d{{1,3}}(?:\.\d{{1,3}}){{3}}){_REST}(?!\w|\.\d)", _ip),
    (r"(?<!\w)[A-Za-z]:[\\/](?!/)[\w.~+\\/-]{0,200}", lambda match: spelled_out(match[0])),
    (
        rf"(?<![\w.@/-])(?P<host>(?=[\d-]{{0,62}}[^\W\d])(?:localhost|{_LABEL}(?=:\d{{4,5}}(?!\d))"
        rf"|{_LABEL}(?:\.{_LABEL}){{1,8}}))(?P<rest>{_REST})"
        r"(?:[?#][\w-]{1,40}=[^\s,;!?]{0,400}[\w/])?(?!\w)",
        _host,
    ),
    (
        rf"(?<![\w.@/-])(?:{_LABEL}/){{1,8}}{_LABEL}\.[A-Za-z]\w{{0,9}}(?![\w/])",
        lambda match: spelled_out(match[0]),
    ),
    (
        rf"(?<![\w.@/-])\d{{1,9}}\.(?:{'|'.join(_FILES)})(?![\w/])",
        lambda match: spelled_out(match[0]),
    ),
    (r"(?<!\S)(?:~|\.\.?)/[\w./~+-]{0,200}(?<!\.)", _path),
    (rf"(?<!\S)(?:/{_LABEL}(?:\.{_LABEL}){{0,3}}){{1,12}}/?(?![\w/])", _path),
    (rf"(?<!\S)\.(?=[a-z]|[A-Z]{{2}}){_HOST}(?!\w)", _dotted),
    # output of an earlier normalisation, left unchanged
    (r"(?<=\bdot )sh(?!\w)", lambda match: match[0]),
)
"""Patterns and their readers, in the order in which they are tried."""
