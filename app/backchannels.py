"""Which words are backchannels: said while another speaks, without wanting the turn."""

import re

from pypinyin import lazy_pinyin

from data.text import HAN_LETTERS

_ENGLISH = (
    "yes|yeah|yep|yup|yah|ya|right|okay|ok|sure|oh|ah|aha|uh|huh|um|wow|really|true|exactly|"
    "good|great|nice|cool|fine|ha|haha|hahaha|hehe|absolutely|definitely|totally|indeed|"
    "interesting|well|sir|got it|of course|makes sense|that makes sense|sounds good|i see|i know|"
    "all right|that's right|that's true|thank you"
)
# By sound: Whisper writes a syllable that stands alone with any of its characters.
_MANDARIN = (
    "en|n|ng|o|e|a|ai|ha|dui|shi|shi de|chi de|si de|hao|hao de|xing|hao ba|mei cuo|ming bai|"
    "ming bai le|zhi dao|zhi dao le|dang ran|zhen de|zhen de ma|shi ma|shi a|dui a|ke yi"
)
_UNITS = tuple(f"{unit} " for unit in f"{_ENGLISH}|{_MANDARIN}".split("|"))
# Whisper's transcripts of a hum.
_HUM = re.compile(
    r"(?:m+|h+|[mh]+[aeiuoy]?m*[mh]*[iy]?|ah*|uh*|[aeru]|el|else|elsa|amen|amy|mommy|"
    r"(?:i'm|both|um) (?:high|hi|him|eye|hu+m+\w*)) "
)
_VAGUE = re.compile(rf"(?:{_HUM.pattern[:-1]}|oh|huh|um|ha|en|n|ng|o|ai) ")
_OBJECTIONS = frozenset("no not stop wait but what why how ting deng bu bie dan".split())
_SENTENCE_END = re.compile(r"[.!?。]+")
_TOKENS = re.compile(rf"[a-z']+|[{HAN_LETTERS}]+|\d+")


def is_backchannel(text: str) -> bool:
    """Whether words, possibly misrecognised, are only a backchannel; also without any word."""
    return not _rest(text)


def is_clear_backchannel(text: str) -> bool:
    """Whether they are one of which a fragment sounds like nothing else: a word, no hum."""
    words = _words(text)
    return bool(words) and not _VAGUE.fullmatch(f"{words[0]} ") and not _rest(text)


def begins_with_backchannel(text: str) -> bool:
    """Whether they are a backchannel and at most one word more, which does not object."""
    text = _unlooped(text)
    rest = _rest(text)
    started = len(rest) < len(_words(text))
    return not rest or (started and len(rest) == 1 and rest[0] not in _OBJECTIONS)


def is_sentence(text: str) -> bool:
    """Whether words that are not complete have gone beyond a backchannel, by two different words:
    one alone may be a fragment misrecognised. Whisper repeats what it makes of a fragment."""
    rest = _rest(_unlooped(text))
    may_become = any(unit.startswith(" ".join(rest)) for unit in _UNITS)
    return len(set(rest)) >= 2 and not may_become


def objects(text: str) -> bool:
    """Whether they begin with a word that asks the speaker to stop."""
    words = _words(text)
    return bool(words) and words[0] in _OBJECTIONS


def objects_at_length(text: str) -> bool:
    """Whether such a word is followed by others."""
    return objects(text) and len(set(_words(_unlooped(text)))) > 1


def _unlooped(text: str) -> str:
    """Text without sentences that repeat the first one, or its beginning."""
    first, *others = (one.strip() for one in _SENTENCE_END.split(text))
    return " ".join([first, *(one for one in others if not first.startswith(one))])


def _words(text: str) -> list[str]:
    """English words and toneless syllables."""
    plain = text.lower().replace("-", " ").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [word for part in _TOKENS.findall(plain) for word in lazy_pinyin(part)]


def _rest(text: str) -> list[str]:
    """What is left of the words behind the backchannels that they begin with."""
    rest = "".join(f"{word} " for word in _words(text))
    while rest:
        hum = _HUM.match(rest)
        fitting = [unit for unit in _UNITS if rest.startswith(unit)] + (
            [hum.group()] if hum else []
        )
        if not fitting:
            break
        rest = rest[max(map(len, fitting)) :]
    return rest.split()
