"""Normalises written Mandarin: numbers, dates, money and units by wetext."""

import re
import unicodedata
from functools import cache
from typing import Any

from data.text import HAN_LETTERS
from models.text.languages.zh.rewriting import (
    DIGITS,
    rewrite_numbers,
    rewrite_numerals,
    rewrite_signs,
)

_PUNCTUATION = str.maketrans(
    {
        **{"，": ",", "、": ",", "。": ".", "！": "!", "？": "?", "；": ";", "：": ":", "．": "."},
        **dict.fromkeys("（）【】〔〕［］()[]", ","),
        **dict.fromkeys("“”‘’「」『』《》〈〉\"'", " "),
        **{"～": "~", "·": " ", "•": " ", "￥": "¥", "－": "-", "−": "-", "％": "%", "　": " "},
    }
)
_ON_THE_PHONE = DIGITS | {"1": "幺"}
_TELEPHONE = re.compile(
    r"(?<![\d.-])(?:\+?86[- ]?)?(?:1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}[- ]\d{7,8}"
    r"|[48]00[- ]\d{3}[- ]?\d{4})(?!\d|\.\d)"
)
# A year stands alone ("1992最佳制作人奖") or before 年; with a measure word it is a number.
_YEAR = re.compile(
    r"(?<![\d.¥$€第共约])(?:1[89]|20)\d\d(?=年|(?!\s?[\d.,:%/~\-个元块人多万米千名位次页本只条件家张"
    r"度分秒天亿斤吨层套辆岁美欧日英a-zA-Z小公平毫厘×]))"
)
_YEARS = re.compile(r"(?<!\d)((?:19|20)\d\d)\s?[-–—~]\s?((?:19|20)\d\d)(?![\d-])")
_RANGE = re.compile(r"(?<=\d)(%?)\s?[-~–—]\s?(?=\d)")
_CELSIUS = re.compile(r"(?<=\d)\s?°C|(?<=\d)\s?℃")
_LEFT_OVER = re.compile(r"\d+")
_REPEATED = re.compile(rf"([{HAN_LETTERS}])々")


@cache
def _wetext() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn")


def normalise(text: str) -> str:
    """Spells out numbers, dates, money and units; maps full-width punctuation to ours.

    >>> normalise("我2024年5月3日花了￥1,234.50。")
    '我二零二四年五月三日花了一千二百三十四点五元.'
    """
    text = rewrite_signs(text)
    text = unicodedata.normalize("NFKC", text.translate(_PUNCTUATION)).translate(_PUNCTUATION)
    text = rewrite_numerals(_REPEATED.sub(r"\1\1", text))
    text = re.sub(r"\.{2,}", ",", re.sub(r"[—―]+|-{2,}", " — ", text))
    if re.search(r"\d", text):
        text = _numbers(text)
    return re.sub(r"\s+", " ", text).strip()


def _numbers(text: str) -> str:
    text = re.sub(r"(?<=[A-Za-z])-(?=\d)", " ", text)  # "GPT-4"
    text = _TELEPHONE.sub(lambda found: _one_by_one(found[0], _ON_THE_PHONE), text)
    text = rewrite_numbers(text)
    text = _YEARS.sub(r"\1年到\2年", text).replace("年年", "年")
    text = _YEAR.sub(lambda found: _one_by_one(found[0], DIGITS), text)
    text = _CELSIUS.sub("摄氏度", text)
    text = _RANGE.sub(_range, text)
    # Only the context of numbers goes to wetext, which takes seconds on long texts.
    parts: list[str] = re.split(r"(?<=[,.!?;])(?!\d)|(?<=[^\d\W]{8})(?=[^\d\W]{8})", text)
    text = "".join(_wetext().normalize(part) if re.search(r"\d", part) else part for part in parts)
    return _LEFT_OVER.sub(lambda found: _one_by_one(found[0], DIGITS), text)


def _range(found: re.Match[str]) -> str:
    """Reads "50-60" as a range; leaves dashes of dates and scores to wetext."""
    around = found.string[max(0, found.start() - 12) : found.end() + 12]
    if re.search(r"\d{4}-\d{1,2}-\d{1,2}|\d-\d+-\d", around):
        return found[0]
    return f"{found[1]}到"


def _one_by_one(number: str, names: dict[str, str]) -> str:
    plus = "加" if number.startswith("+") else ""
    return plus + "".join(names[digit] for digit in number if digit.isdecimal())
