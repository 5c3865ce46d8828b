"""The page: widgets, JavaScript and audio worklets, without application logic."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before anything here imports Gradio
