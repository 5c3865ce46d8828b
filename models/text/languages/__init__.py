"""One folder per language: text normalisation and phonemes."""
