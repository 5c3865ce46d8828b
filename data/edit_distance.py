"""Edits between two sequences."""

from collections.abc import Sequence


def edit_errors(reference: Sequence, made: Sequence) -> int:
    """Levenshtein distance."""
    row = list(range(len(made) + 1))
    for i, wanted in enumerate(reference, 1):
        last, row[0] = row[0], i
        for j, got in enumerate(made, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (wanted != got))
    return row[-1]
