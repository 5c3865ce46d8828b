"""Models that predict the answer's speech from the dialogue."""
