"""The label that marks files and responses as synthetic speech."""

SYNTHETIC = "Synthetic speech, made by Repartee"
SYNTHETIC_HEADERS = {"X-Synthetic-Speech": "repartee"}


def mark_of(consent: str = "") -> str:
    """The comment for a file of synthetic speech.

    Args:
        consent: consent statement of a cloned voice; empty for a bundled one.
    """
    return f"{SYNTHETIC}; cloned voice, consent: {consent}" if consent else SYNTHETIC
