"""The Gradio page: one tab a file."""

import gradio as gr

from app.hub import Engines
from app.ui.clone import clone_tab
from app.ui.named_endpoints import add_named_endpoints
from app.ui.talk import talk_tab

HEAD = (
    '<link rel="stylesheet" href="/repartee/chat.css">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)


def theme() -> gr.themes.Base:
    """Calm colours, and the system's own fonts: nothing is fetched from elsewhere."""
    return gr.themes.Soft(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def build_page(engines: Engines) -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="Repartee", analytics_enabled=False, fill_width=False) as page:
        with gr.Tab("Talk", id="talk"):
            talk_tab()
        with gr.Tab("Clone a voice", id="clone"):
            clone_tab(engines)
        add_named_endpoints(engines)
    return page
