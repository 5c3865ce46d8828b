"""The languages that are heard and spoken, by ISO 639-1 code."""

LANGUAGE_NAMES = {"en": "English", "zh": "Mandarin"}
LANGUAGES = tuple(LANGUAGE_NAMES)
OPENAI_NAMES = {"en": "english", "zh": "chinese"}
"""As Whisper and OpenAI's API name them in transcripts."""
