"""Operations with a fast version, one folder each; `panels.py` is the product that they share."""
