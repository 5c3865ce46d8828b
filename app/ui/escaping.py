"""Text of others on a page: shown as it is, never as markup."""

import html
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()!|~$])")


def markdown_text(text: str) -> str:
    """`text` for Markdown that may hold HTML: every sign stands for itself, on one line."""
    one_line = " ".join(text.split())
    # The signs first: an escaped "&lt;" holds none that Markdown knows.
    return html.escape(_MARKDOWN.sub(r"\\\1", one_line))
