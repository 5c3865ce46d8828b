"""The page: widgets and worklets, no logic."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before anything here imports Gradio
