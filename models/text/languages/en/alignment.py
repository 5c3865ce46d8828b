"""Assigns phones that espeak-ng ran together to words.

espeak-ng writes "of the" as one group ("ʌvðə") and "lunchroom" as two. Isolated pronunciations of
the words differ slightly from those in context; an edit-distance alignment between the two gives
the word ends.
"""

import itertools

_VOWELS = frozenset("iɪᵻɛæʌəɐɑɔʊuɜɚeaoɒ")
_OMITTED = 0.7


def _cost(one: str, other: str) -> float:
    one, other = one.lstrip("ˈˌ"), other.lstrip("ˈˌ")
    if one == other:
        return 0.0
    same_kind = (one[:1] in _VOWELS) == (other[:1] in _VOWELS)
    return 0.5 if same_kind else 1.3


def _word_ends(phones: list[str], alone: list[list[str]]) -> list[int]:
    """For each word, the number of phones up to its end, by minimum edit distance."""
    expected = [phone for word in alone for phone in word]
    rows = len(expected) + 1
    costs = [[_OMITTED * column for column in range(len(phones) + 1)]]
    for row in range(1, rows):
        above, line = costs[-1], [_OMITTED * row]
        for column, phone in enumerate(phones, start=1):
            line.append(
                min(
                    above[column - 1] + _cost(expected[row - 1], phone),
                    above[column] + _OMITTED,
                    line[-1] + _OMITTED,
                )
            )
        costs.append(line)
    ends = [0] * rows
    row, column = rows - 1, len(phones)
    ends[row] = column
    while row > 0:
        if column and costs[row][column] == costs[row][column - 1] + _OMITTED:
            column -= 1
            continue
        matched = column and costs[row][column] == costs[row - 1][column - 1] + _cost(
            expected[row - 1], phones[column - 1]
        )
        column -= 1 if matched else 0
        row -= 1
        ends[row] = column
    finished, found = 0, []
    for word in alone:
        finished += len(word)
        found.append(ends[finished])
    found[-1] = len(phones)
    return found


def divide(groups: list[list[str]], alone: list[list[str]]) -> list[list[str]]:
    """Splits the phones of a clause into words.

    Args:
        groups: phones as grouped by espeak-ng.
        alone: phones of each word in isolation.

    Returns:
        Phones of each word in context. Words with phones in isolation are never left empty: where
        espeak-ng dropped one, the clause is read word by word.
    """
    phones = [phone for group in groups for phone in group]
    starts = [0, *_word_ends(phones, alone)]
    found = [phones[start:end] for start, end in itertools.pairwise(starts)]
    if any(word and not said for word, said in zip(alone, found, strict=True)):
        return alone
    return found
