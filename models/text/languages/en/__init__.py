"""English: numbers, dates, units and so on; phonemes by espeak-ng."""
