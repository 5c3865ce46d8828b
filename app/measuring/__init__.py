"""Measures of hearing and of taking turns, in conversations on a virtual clock."""
