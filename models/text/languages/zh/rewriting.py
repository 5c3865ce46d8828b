"""Rewrites numbers and signs in written Mandarin into the forms that wetext reads correctly."""

import re
import unicodedata

from data.text import HAN_LETTERS
from models.text.languages.en.numerals import roman

DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_POWERS = {"2": "的平方", "3": "的立方"}
# "5²", "x³" and "10^6"; "m²" is left to wetext, and "注释¹" is a footnote.
_POWER = re.compile(
    rf"(?:(?<=\d)|(?<=\))|(?<![A-Za-z]{{2}})(?<=[a-ln-zA-Z]))(?:(?P<raised>[{_RAISED}]+)|\^(?P<power>-?\d+))"
)
_FOOTNOTE = re.compile(rf"(?<=[{HAN_LETTERS}])[{_RAISED}]+")
_FRACTION = re.compile(r"(?P<whole>\d)?\s?(?P<fraction>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_IN_A_CIRCLE = re.compile(r"[①-⒛⓪⓫-⓿❶-➓㉑-㉟㊱-㊿]")
_BEGINS = re.compile(r"(?:\A|[.!?:。！？：\n])\s*\Z")
_FEET_AND_INCHES = re.compile(r"(?<![\d.])(\d{1,2})\s?['’′]\s?(\d{1,2}(?:\.\d)?)\s?[\"”″]")
_INCHES = re.compile(r"(?<=\d)\s?(?:″|[\"”](?=屏|显示|电视|平板|笔记本|螺))")
_MARK = re.compile("[\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f]")
_SPACES = re.compile(
    r"(?<![\d.,])\d{1,3}(?:[\u00a0\u2009\u202f]\d{3})+(?!\d)|\d{1,3}(?: 000)+(?!\d)"
)

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BY_TWO = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?!\d)")
_BY_DOTS = re.compile(
    r"(?<![\d.,])(?P<whole>\d{1,3}(?:(?:\.\d{3}){2}|\.\d{3}(?=,\d{1,2}(?!\d))))(?:,(?P<part>\d{1,2}))?"
    r"(?!\d|\.\d)"
)
_DECIMAL_COMMA = re.compile(
    r"(?<![\d,.])(?P<whole>\d{1,3}),(?P<part>\d{1,2})"
    r"(?=\s?(?:[°℃℉%‰€度]|公|千[克米瓦]|[毫厘分]?[米升克]|[欧美]?元|[kcm]?[mglL](?![A-Za-z])))"
    r"|(?<=[€£])(?P<whole_money>\d{1,6}),(?P<cents>\d\d)(?!\d)"
)
_MONEY = {"¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_DOUBLE_CURRENCY = re.compile(
    r"(?P<sign>[¥$€£])\s?(?P<amount>\d+(?:\.\d+)?)(?P<magnitude>[百千万亿]*)"
    r"(?P<noun>元|块|美元|欧元|英镑)?"
)
_UNITS = {
    **{"hPa": "百帕", "kPa": "千帕", "MPa": "兆帕", "Pa": "帕", "Hz": "赫兹", "kHz": "千赫"},
    **{"MHz": "兆赫", "GHz": "吉赫", "kWh": "千瓦时", "kwh": "千瓦时", "mAh": "毫安时"},
    **{"dB": "分贝", "V": "伏", "kV": "千伏", "Ω": "欧", "kΩ": "千欧", "MΩ": "兆欧"},
}
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![A-Za-z/])")
_PER_THOUSAND = re.compile(r"(\d+(?:\.\d+)?)\s?‰")
_DAY_MONTH_YEAR = re.compile(r"(?<![\d/.-])(\d{1,2})([/-])(\d{1,2})\2((?:19|20)\d\d)(?![\d/-])")
_YEAR_AND_MONTH = re.compile(
    r"(?<![\d.-])((?:19|20)\d\d)-(0?[1-9]|1[0-2])月?(?![\d~年=-]|\s?(?:赛季|学年|年度|等于))"
)
_SECOND = re.compile(r"(?<![\d.])2(?=[日号])")
_ROMAN = re.compile(rf"(?<=[{HAN_LETTERS}])\s?(?!XX)([IVX]{{2,}}|(?<=第)[IVX])(?![A-Za-z])")
_ROMAN_BEFORE = re.compile(r"(?<![A-Za-z])([IVX]+)(?=世纪)")
_VERSION = re.compile(r"(?:(?<=[vV])|(?<=版本))\s?(\d+(?:\.\d+){2,})(?!\d|\.\d)")
_CODE = re.compile(
    r"((?:端口|密码|验证码|编号|尾号|学号|工号|卡号|账号|QQ)(?:号码?|为|是|[:：\s])*)(\d{3,})(?!\d|\.\d)"
)


_DECADE = re.compile(r"(?<!\d)((?:1[89]|20)\d0)\s?s(?![A-Za-z])")
_TIMES = re.compile(r"(?<![\w.])([1-9]\d*)x(?=\d)", re.A)
_METRES = re.compile(r"(?<=\d米)(\d\d?)(?!\s?[\d.厘分毫公cm])")


def rewrite_signs(text: str) -> str:
    """Rewrites signs that NFKC would turn into plain digits: "5²", "½", "❶"; drops stray marks."""
    text = text.replace("≈", "约等于")
    text = _FRACTION.sub(_fraction, _FOOTNOTE.sub("", _POWER.sub(_power, text)))
    text = _IN_A_CIRCLE.sub(_in_a_circle, text)
    text = _INCHES.sub("英寸", _FEET_AND_INCHES.sub(r"\1英尺\2英寸", text))
    text = _SPACES.sub(lambda found: re.sub(r"\s", "", found[0]), text)
    return _MARK.sub("", unicodedata.normalize("NFC", text))


def rewrite_numbers(text: str) -> str:
    """Rewrites dates, digit groups, money and units.

    Of "3/4/2024" the first number is the month, as in English, unless it exceeds 12.
    """
    text = _BY_TWO.sub(lambda found: found[0].replace(",", ""), text)
    text = _THOUSANDS.sub("", _BY_DOTS.sub(_by_dots, text))
    text = _DECIMAL_COMMA.sub(
        lambda found: ".".join(part for part in found.groups() if part is not None), text
    )
    text = re.sub(r"(?<=\d),(?=\d)", ", ", text)  # a list, which wetext would join: "1,2,3号"
    text = _YEAR_AND_MONTH.sub(
        lambda found: f"{found[1]}年{int(found[2])}月", _DAY_MONTH_YEAR.sub(_date, text)
    )
    text = _DOUBLE_CURRENCY.sub(_money, _SECOND.sub("二", text))
    text = _DECADE.sub(lambda found: f"{_one_by_one(found[1])}年代", _TIMES.sub(r"\1×", text))
    text = _METRES.sub(lambda found: _one_by_one(found[1]), text.replace("24/7", "24 7"))
    text = _PER_THOUSAND.sub(r"千分之\1", _UNIT.sub(lambda found: _UNITS[found[1]], text))
    text = _VERSION.sub(lambda found: _one_by_one(found[1]), text)
    return _CODE.sub(lambda found: found[1] + _one_by_one(found[2]), text)


def rewrite_numerals(text: str) -> str:
    """Rewrites Roman numerals beside Chinese characters: "第VII章", "XIX世纪"."""
    for pattern in (_ROMAN, _ROMAN_BEFORE):
        text = pattern.sub(lambda found: str(roman(found[1]) or found[1]), text)
    return text


def _power(found: re.Match[str]) -> str:
    power = found["power"] or unicodedata.normalize("NFKC", found["raised"]).replace("−", "-")
    sign = "负" if power[0] == "-" else ""
    return _POWERS.get(power) or f"的{sign}{power.lstrip('+-')}次方"


def _fraction(found: re.Match[str]) -> str:
    plain = unicodedata.normalize("NFKC", found["fraction"]).replace("⁄", "/")
    return f"{found['whole']}又{plain}" if found["whole"] else plain


def _in_a_circle(found: re.Match[str]) -> str:
    number = f"{unicodedata.numeric(found[0]):g}"
    return f"{number}，" if _BEGINS.search(found.string[: found.start()]) else number


def _by_dots(found: re.Match[str]) -> str:
    return found["whole"].replace(".", "") + (f".{found['part']}" if found["part"] else "")


def _date(found: re.Match[str]) -> str:
    month, day = int(found[1]), int(found[3])
    if month > 12:
        month, day = day, month
    return f"{found[4]}年{month}月{day}日" if 1 <= month <= 12 and day <= 31 else found[0]


def _money(found: re.Match[str]) -> str:
    if not found["magnitude"] and not found["noun"]:
        return found[0]  # wetext's
    return found["amount"] + found["magnitude"] + (found["noun"] or _MONEY[found["sign"]])


def _one_by_one(number: str) -> str:
    return "".join(DIGITS.get(digit, "点") for digit in number)
