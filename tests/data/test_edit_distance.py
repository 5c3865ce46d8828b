"""Edits between two sequences."""

from data.edit_distance import edit_errors


def test_edit_errors() -> None:
    assert edit_errors(list("kitten"), list("sitting")) == 3
    assert edit_errors([], [1, 2]) == 2 and edit_errors([1, 2], []) == 2
