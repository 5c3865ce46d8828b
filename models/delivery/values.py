"""Parses values of controls: times, rates, pitches and volumes, as in SSML 1.1."""

import re

from data.errors import InputError
from models.delivery.delivery import FAST, SLOW

MAX_PAUSE_S = 10.0
DEFAULT_PAUSE_S = 0.5
_NUMBER = r"(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})"
_TIME = re.compile(rf"\+?{_NUMBER}\s*(ms|milliseconds?|s|secs?|seconds?)", re.I)
_PERCENT = re.compile(rf"([+-]?){_NUMBER}\s*%")
_FACTOR = re.compile(rf"{_NUMBER}x?", re.I)
_SEMITONES = re.compile(rf"([+-]?){_NUMBER}\s*(?:st|semitones?)", re.I)
_DECIBELS = re.compile(rf"([+-]?){_NUMBER}\s*dB", re.I)
_BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
_RATES = {"x-slow": 0.6, "slow": SLOW, "medium": 1.0, "fast": FAST, "x-fast": 1.6}
_PITCHES = {"x-low": 0.75, "low": 0.87, "medium": 1.0, "high": 1.15, "x-high": 1.33}
_VOLUMES = {"silent": 0.05, "x-soft": 0.25, "soft": 0.5, "medium": 1.0, "loud": 1.7, "x-loud": 2.4}


def pause_seconds(text: str) -> float:
    """Seconds of "600ms", "0.6 s" or an SSML strength ("strong").

    Raises:
        InputError: it is none of these, or longer than `MAX_PAUSE_S`.
    """
    given = text.strip().lower()
    if not given:
        return DEFAULT_PAUSE_S
    if given in _BREAKS:
        return _BREAKS[given]
    found = _TIME.fullmatch(given)
    if not found:
        raise InputError(
            f"a pause of {text!r:.40} cannot be read; write it as 600ms, 0.6s or one of "
            f"{', '.join(_BREAKS)}"
        )
    seconds = float(found[1]) / (1000 if found[2].lower().startswith("m") else 1)
    if seconds > MAX_PAUSE_S:
        raise InputError(f"a pause of {text!r:.40} is too long; at most {MAX_PAUSE_S:g} s")
    return seconds


def rate_factor(text: str) -> float:
    """The factor of a rate: "slow", "80%", "+10%" or "0.8". Raises InputError."""
    return _relative(text, _RATES, "rate")


def pitch_factor(text: str) -> float:
    """The factor of a pitch: "high", "+10%", "-2st" or "1.1". Raises InputError."""
    found = _SEMITONES.fullmatch(text.strip())
    if found:
        return 2 ** (float(f"{found[1]}{found[2]}") / 12)
    return _relative(text, _PITCHES, "pitch", " or +2st (a pitch in Hz is no factor of a voice's)")


def volume_factor(text: str) -> float:
    """The factor of a volume: "loud", "+6dB", "80%" or "0.8". Raises InputError."""
    found = _DECIBELS.fullmatch(text.strip())
    if found:
        return 10 ** (float(f"{found[1]}{found[2]}") / 20)
    return _relative(text, _VOLUMES, "volume", " or +6dB")


def _relative(text: str, names: dict[str, float], what: str, more: str = "") -> float:
    given = text.strip().lower()
    if given in (*names, "default"):
        return names.get(given, 1.0)
    if found := _PERCENT.fullmatch(given):
        share = float(found[2]) / 100
        factor = {"": share, "+": 1 + share, "-": 1 - share}[found[1]]
    elif _FACTOR.fullmatch(given):
        factor = float(given.removesuffix("x"))
    else:
        factor = 0.0
    if factor <= 0:
        raise InputError(
            f"the {what} {text!r:.40} cannot be read; write one of {', '.join(names)}, or +10%, "
            f"80%, 0.8{more}"
        )
    return factor
