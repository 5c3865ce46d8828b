"""The talk tab: its markup and its JavaScript module."""

from pathlib import Path

import gradio as gr

_STATIC = Path(__file__).parent / "static"
_ON_LOAD = """
import('/repartee/chat.js')
  .then((chat) => chat.mount(element.querySelector('.repartee')))
  .catch((error) => { element.querySelector('.rp-notice').textContent = String(error); });
"""


def talk_tab() -> None:
    """Adds the tab's markup."""
    gr.HTML(
        html_template=(_STATIC / "talk.html").read_text(encoding="utf-8"),
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id="talk-panel",
    )
