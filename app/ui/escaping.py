"""Escaping of untrusted text for the page."""

import html
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()!|~$])")


def markdown_text(text: str) -> str:
    """Escapes text for Markdown with HTML, and joins its lines."""
    one_line = " ".join(text.split())
    # Markdown first, since HTML escapes like "&lt;" contain no Markdown characters.
    return html.escape(_MARKDOWN.sub(r"\\\1", one_line))
