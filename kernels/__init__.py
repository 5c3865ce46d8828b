"""Operations with a fast version: one folder each, with its reference and its benchmark."""
