"""How a text is to be spoken beyond its words: controls, instructions, pronunciations."""
