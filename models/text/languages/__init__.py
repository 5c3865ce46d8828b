"""A folder a language: how its texts are written as they are said, and as phonemes."""
