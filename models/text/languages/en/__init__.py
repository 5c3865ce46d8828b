"""English: readings of numbers, dates, units and the like, and phonemes by espeak-ng."""
