"""The Gradio page; each tab has its own file."""

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
    """Colours with sufficient contrast (WCAG 2.2, 1.4.3: 4.5 to 1) and system fonts, so that
    nothing is fetched from other servers."""
    soft = gr.themes.Soft(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    labels = {"block_label_text_color", "block_title_text_color"}
    return soft.set(
        color_accent="*primary_700",
        color_accent_soft_dark="*neutral_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
        block_label_background_fill_dark="*primary_800",
        block_title_background_fill_dark="*primary_800",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        **dict.fromkeys(labels, "*primary_800"),
        **dict.fromkeys({f"{name}_dark" for name in labels}, "*primary_100"),
    )


def build_page(engines: Engines) -> gr.Blocks:
    """Builds the page."""
    with gr.Blocks(title="Repartee", analytics_enabled=False, fill_width=False) as page:
        with gr.Tab("Talk", id="talk"):
            talk_tab()
        with gr.Tab("Clone a voice", id="clone"):
            clone_tab(engines)
        add_named_endpoints(engines)
    return page
