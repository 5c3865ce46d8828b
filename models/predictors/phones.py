"""Maps a synthesizer's phone times onto the frontend's units.

Their phone sets differ. Both are reduced to one coarse alphabet and aligned by dynamic programming;
the times are then transferred.
"""

import numba
import numpy as np

from models.predictors.units import MARKS, Units
from models.text import SYMBOLS

_RADIO_TO_IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ",
    "ch": "tʃ", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɜ",
    "ey": "eɪ", "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "ix": "ɪ", "iy": "i", "jh": "dʒ",
    "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "r": "ɹ", "sh": "ʃ", "th": "θ", "uh": "ʊ", "uw": "u",
    "y": "j", "zh": "ʒ", "nx": "n",
}  # fmt: skip
_SILENCE = "pau"
_GROUPS = (
    "i ɪ ᵻ e eɪ ɛ eə iə ɪə",
    "æ a aː ɑ ʌ ɐ aɪ aʊ ɒ",
    "ə ɚ ɜ ʌ ɐ ᵻ əl əʊ ɪ",
    "u ʊ oʊ o ɔ ɔɪ ɒ əʊ ʊə",
    "t d ɾ ʔ θ ð tʃ dʒ",
    "s z ʃ ʒ tʃ dʒ",
    "p b f v",
    "k ɡ",
    "m n ŋ n̩",
    "ɹ r ɚ ɜ l ɫ əl ɑ ɔ",
    "w j u i ʍ",
    "h x",
)
_UNKNOWN = "?"


def _plain(symbol: str) -> str:
    return symbol.strip("ˈˌ").replace("ː", "").replace("ˑ", "").replace("g", "ɡ")


def _coarse(phone: str) -> str:
    if phone in ("pau", "sil", "#", "_", "_:", "h#", "brth", "ssil", ""):
        return _SILENCE
    return _RADIO_TO_IPA.get(phone, _plain(phone))


_ALPHABET: dict[str, int] = {}
for _symbol in [
    _SILENCE,
    _UNKNOWN,
    *(_plain(s) for i, s in enumerate(SYMBOLS) if i not in MARKS),
    *_RADIO_TO_IPA.values(),
    *(s for group in _GROUPS for s in group.split()),
]:
    _ALPHABET.setdefault(_symbol, len(_ALPHABET))
_VOWELS = set("aeiouæɑɐəɚɛɜɪɔʊʌɒᵻ")


def _substitution_costs() -> np.ndarray:
    names = list(_ALPHABET)
    vowel = np.array([name[:1] in _VOWELS for name in names])
    costs = np.where(vowel[:, None] == vowel[None], 0.9, 1.3)
    costs[vowel[:, None] & vowel[None]] = 0.6
    for group in _GROUPS:
        index = [_ALPHABET[name] for name in group.split()]
        costs[np.ix_(index, index)] = np.minimum(costs[np.ix_(index, index)], 0.3)
    costs[_ALPHABET[_UNKNOWN]] = costs[:, _ALPHABET[_UNKNOWN]] = 0.7
    costs[_ALPHABET[_SILENCE]] = costs[:, _ALPHABET[_SILENCE]] = 2.0
    np.fill_diagonal(costs, 0.0)
    return costs


_COSTS = _substitution_costs()
_MARKS = np.array([i in MARKS for i in range(len(SYMBOLS))])
_SYMBOL_CLASS = np.array(
    [
        _ALPHABET[_SILENCE] if _MARKS[i] else _ALPHABET.get(_plain(s), _ALPHABET[_UNKNOWN])
        for i, s in enumerate(SYMBOLS)
    ]
)


@numba.njit(cache=True)
def _align(cost: np.ndarray, skip_phone: np.ndarray, skip_unit: np.ndarray) -> np.ndarray:
    """The matched phone of each unit, or -1."""
    rows, columns = cost.shape
    total = np.zeros((rows + 1, columns + 1))
    move = np.zeros((rows + 1, columns + 1), dtype=np.int8)
    for i in range(1, rows + 1):
        total[i, 0] = total[i - 1, 0] + skip_phone[i - 1]
        move[i, 0] = 1
    for j in range(1, columns + 1):
        total[0, j] = total[0, j - 1] + skip_unit[j - 1]
        move[0, j] = 2
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            best, step = total[i - 1, j - 1] + cost[i - 1, j - 1], 0
            other = total[i - 1, j] + skip_phone[i - 1]
            if other < best:
                best, step = other, 1
            other = total[i, j - 1] + skip_unit[j - 1]
            if other < best:
                best, step = other, 2
            total[i, j] = best
            move[i, j] = step
    matched = np.full(columns, -1, dtype=np.int64)
    i, j = rows, columns
    while i > 0 or j > 0:
        step = move[i, j]
        if step == 0:
            i, j = i - 1, j - 1
            matched[j] = i
        elif step == 1:
            i -= 1
        else:
            j -= 1
    return matched


def unit_ends(phones: list[tuple[str, float, float]], units: Units) -> np.ndarray:
    """End time of each unit in seconds, `[N]`, non-decreasing.

    Args:
        phones: (phone, start, end) in seconds, in the synthesizer's own alphabet.
        units: the frontend's units of that text.
    """
    names = [_coarse(phone) for phone, _, _ in phones]
    classes = np.array([_ALPHABET.get(name, _ALPHABET[_UNKNOWN]) for name in names])
    symbols = np.array(units.symbols)
    marks = _MARKS[symbols]
    cost = _COSTS[np.ix_(classes, _SYMBOL_CLASS[symbols])]
    silent = classes == _ALPHABET[_SILENCE]
    matched = _align(cost, np.where(silent, 0.3, 0.55), np.where(marks, 0.05, 0.55))
    return _carry(phones, matched, marks)


def _carry(
    phones: list[tuple[str, float, float]], matched: np.ndarray, marks: np.ndarray
) -> np.ndarray:
    """Unit ends from matches: an unmatched phone extends the preceding unit, unmatched units divide
    the time up to the next match, an unmatched mark has zero duration."""
    starts = np.full(len(matched) + 1, np.nan)
    starts[0], starts[-1] = 0.0, phones[-1][2]
    for unit, phone in enumerate(matched):
        if unit and phone >= 0:
            starts[unit] = phones[phone][1]
    # A mark without a pause starts where the next unit does.
    for unit in range(len(matched) - 1, 0, -1):
        if np.isnan(starts[unit]) and marks[unit] and not np.isnan(starts[unit + 1]):
            starts[unit] = starts[unit + 1]
    known = np.flatnonzero(~np.isnan(starts))
    starts = np.interp(np.arange(len(starts)), known, starts[known])
    return np.maximum.accumulate(starts)[1:]


def pointer_of(ends: np.ndarray, num_frames: int, frame_s: float, max_advance: int) -> np.ndarray:
    """The unit under the pointer at each frame, `[T]`: starts at unit 0, never goes back, advances
    by at most `max_advance`, and ends at the last unit."""
    middles = (np.arange(num_frames) + 0.5) * frame_s
    last = len(ends) - 1
    pointer = np.minimum(np.searchsorted(ends, middles, side="right"), last)
    pointer[0], pointer[-1] = 0, max(pointer[-1], last if num_frames > 1 else 0)
    for frame in range(1, num_frames):
        pointer[frame] = min(pointer[frame], pointer[frame - 1] + max_advance)
    return pointer
