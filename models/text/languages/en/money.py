"""Readings of money: "$5", "20 €", "£2.01", "$3.5 million", "-₹5"."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.amounts import MAGNITUDE, MAGNITUDES, NUMBER, counted, plural_of
from models.text.languages.en.context import Reader

CURRENCIES = {
    **{"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")},
    **{"¥": ("yen", ""), "₹": ("rupee", "paisa"), "¢": ("cent", ""), "₩": ("won", "")},
    **{"₽": ("ruble", ""), "₺": ("lira", ""), "₿": ("bitcoin", ""), "₦": ("naira", "")},
    **{"₱": ("peso", ""), "₪": ("shekel", ""), "₫": ("dong", ""), "₴": ("hryvnia", "")},
    "฿": ("baht", ""),
}
SIGNS = "".join(CURRENCIES)
# Currencies in letters, before or after an amount.
_CODES = {
    **{"USD": "$", "US$": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "Rs.": "₹"},
    **{"Rs": "₹"},
}
_NAMED = {
    **{"CHF": ("Swiss franc", "centime"), "CNY": ("yuan", ""), "RMB": ("yuan", "")},
    **{"AUD": ("Australian dollar", "cent"), "A$": ("Australian dollar", "cent")},
    **{"CAD": ("Canadian dollar", "cent"), "C$": ("Canadian dollar", "cent")},
    **{"R$": ("real", "centavo"), "BRL": ("real", "centavo"), "ZAR": ("rand", "cent")},
    **{"NZ$": ("New Zealand dollar", "cent"), "HK$": ("Hong Kong dollar", "cent")},
    **{"S$": ("Singapore dollar", "cent"), "MXN": ("Mexican peso", "centavo")},
    **{"SEK": ("Swedish krona", ""), "NOK": ("Norwegian krone", ""), "DKK": ("Danish krone", "")},
    **{"PLN": ("zloty", ""), "CZK": ("koruna", ""), "AED": ("dirham", "")},
    **{"KES": ("shilling", "cent"), "KSh": ("shilling", "cent")},
}
_CURRENCIES = CURRENCIES | _NAMED | {code: CURRENCIES[sign] for code, sign in _CODES.items()}
_CODE = "|".join(map(re.escape, sorted({*_CODES, *_NAMED}, key=len, reverse=True)))


def _money(match: re.Match[str]) -> str:
    return ("minus " if match["minus"] or match["minus_after"] else "") + _sum(match)


def _sum(match: re.Match[str]) -> str:
    main, small = _CURRENCIES[match["sign"] or match["sign_after"]]
    amount, magnitude = match["amount"] or match["amount_after"], match["magnitude"]
    if magnitude:
        magnitude = magnitude.strip().lower()
        return f"{numbers.decimal(amount)} {MAGNITUDES.get(magnitude, magnitude)} {plural_of(main)}"
    whole, _, cents = amount.partition(".")
    if len(cents) != 2 or not small:
        return counted(amount, main)
    spoken = [counted(whole, main)] if whole.replace(",", "").strip("0") else []
    if int(cents):
        spoken.append(counted(str(int(cents)), small))
    return " and ".join(spoken) or counted("0", main)


MONEY: tuple[tuple[str, Reader], ...] = (
    (
        r"(?:(?<![\w.])(?P<minus>-))?"
        rf"(?:(?P<sign>[{SIGNS}]|(?<!\w)(?:{_CODE}))\s?(?P<minus_after>-)?(?P<amount>{NUMBER})"
        rf"|(?<![\w.])(?P<amount_after>{NUMBER})\s?(?P<sign_after>[{SIGNS}](?!\d)|(?:{_CODE})(?![\w$])))"
        rf"(?P<magnitude>\s?{MAGNITUDE})?",
        _money,
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
