"""The mark that says speech is synthetic, in the words that files and answers carry."""

SYNTHETIC = "Synthetic speech, made by Repartee"
SYNTHETIC_HEADERS = {"X-Synthetic-Speech": "repartee"}


def mark_of(consent: str = "") -> str:
    """The comment for a file of synthetic speech.

    Args:
        consent: of the person whose voice was cloned; empty for a bundled voice.
    """
    return f"{SYNTHETIC}; cloned voice, consent: {consent}" if consent else SYNTHETIC
