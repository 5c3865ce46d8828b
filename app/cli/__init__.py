"""The verbs of `launch.py`, one a file: options in, one call, a few lines out."""
